"""The build job's steps: load and route by event id, settle events and labels, one step per entity key."""

from __future__ import annotations

from dataclasses import dataclass

from ofs_spark.features import flow
from ofs_spark.features.by_event import ByEvent, LabelLaw, name_choice_column
from ofs_spark.features.by_key import ByKey, Route
from ofs_spark.features.load import Load
from ofs_spark.foundation.columnar.dataflow import Step, Work
from ofs_spark.foundation.ports import Objects
from ofs_spark.pins.profile.model import Program
from ofs_spark.replay import rows as r
from ofs_spark.replay.dedupe import BasisSlice


@dataclass(frozen=True)
class Widths:
    """Targets of the exchange by event id, of those by a middle key (both free), and of the last one: the buckets."""

    events: int
    keys: int
    buckets: int


def plan_layout_step(program: Program, label_types: tuple[str, ...]) -> flow.KeyStep:
    """The last step: its key is the layout key."""
    return flow.plan_key_steps(program, tuple(map(name_choice_column, label_types)))[-1]


def plan_steps(
    program: Program,
    law: LabelLaw,
    slices: tuple[BasisSlice, ...],
    objects: Objects,
    platform_run_id: str,
    widths: Widths,
    last: Work,
) -> list[Step]:
    """All steps of the build job; `last` is the work of the layout key's targets and only writes notes."""
    keys = flow.plan_key_steps(program, tuple(map(name_choice_column, law.types)))
    routes = [_route(program, keys, i, widths) for i in range(len(keys))]
    built = [
        Step("load", Load(objects, platform_run_id, law.types, law.content_key, widths.events), widths.events),
        Step("by event", ByEvent(law, slices, routes[0]), routes[0].width),
    ]
    for i, key in enumerate(keys[:-1]):
        built.append(
            Step(f"by {'+'.join(program.keys[key.key].names)}", ByKey(program, key, routes[i + 1]), routes[i + 1].width)
        )
    return [*built, Step("layout", last, 0)]


def _route(program: Program, keys: tuple[flow.KeyStep, ...], position: int, widths: Widths) -> Route:
    later = tuple(group for key in keys[position:] for group in key.groups)
    width = widths.buckets if position == len(keys) - 1 else widths.keys
    names = tuple(flow.name_key_columns(program, keys[position].key))
    return Route(names, keys[position].inputs, r.ANCHOR | flow.combine_source_flags(later), width)
