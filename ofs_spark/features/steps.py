"""The build job's steps: load and route by event id, settle events and labels, one step per entity key."""

from __future__ import annotations

from dataclasses import dataclass

from ofs_spark.features import flow
from ofs_spark.features.by_event import ByEvent, name_choice_column
from ofs_spark.features.by_key import ByKey
from ofs_spark.features.load import Load
from ofs_spark.features.own import list_own_inputs
from ofs_spark.features.ports import Attachment, Onward
from ofs_spark.features.routing import Route
from ofs_spark.foundation.columnar.dataflow import Step
from ofs_spark.foundation.columnar.measure import MeasuredWork
from ofs_spark.foundation.ports import Objects
from ofs_spark.labels.terms import LabelTerms
from ofs_spark.pins.plan import BuildPlan
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay.anchors import add_anchor_flag
from ofs_spark.replay.basis_slice import BasisSlice


@dataclass(frozen=True)
class Widths:
    """Targets of the exchange by event id, of those by a middle key (both free), and of the last one: the buckets.

    events: a power of two, as the shares of staged files are.
    """

    events: int
    keys: int
    buckets: int


def plan_steps(
    plan: BuildPlan,
    terms: LabelTerms,
    content_key: bytes,
    slices: tuple[BasisSlice, ...],
    objects: Objects,
    widths: Widths,
    writer: Onward,
    attachment: Attachment | None = None,
) -> list[Step]:
    """All steps of the build job; the last key is the layout key, whose rows `writer` takes: it sends notes only.

    content_key: of the pinned extract. attachment: whose rows travel with the events to the writer.
    """
    program = plan.program
    carried = (
        *map(name_choice_column, terms.types),
        *([attachment.kind] if attachment else []),
        *list_own_inputs(program),
    )
    keys = flow.plan_key_steps(program, carried)
    routes = [_make_route(program, keys, i, widths) for i in range(len(keys))]
    run_id, policy = plan.intent.platform_run_id, plan.policy
    read_as = policy.int96_is_utc, policy.most_decoded_bytes
    load = Load(objects, run_id, terms.types, content_key, widths.events, *read_as, attachment)
    built = [
        Step("load", MeasuredWork("labels", load), widths.events),
        Step(
            "by event",
            MeasuredWork("labels", ByEvent(objects, widths.events, program, terms, slices, routes[0], attachment)),
            routes[0].width,
        ),
    ]
    for key, route in zip(keys[:-1], routes[1:], strict=True):
        work = MeasuredWork("features", ByKey(program, key, route))
        built.append(Step(f"by {'+'.join(program.keys[key.key].names)}", work, route.width))
    return [*built, Step("layout", MeasuredWork("features", ByKey(program, keys[-1], writer)), 0)]


def _make_route(program: Program, keys: tuple[flow.KeyStep, ...], position: int, widths: Widths) -> Route:
    later = tuple(group for key in keys[position:] for group in key.groups)
    width = widths.buckets if position == len(keys) - 1 else widths.keys
    names = tuple(flow.name_key_columns(program, keys[position].key))
    return Route(names, keys[position].inputs, add_anchor_flag(flow.combine_source_flags(later)), width)
