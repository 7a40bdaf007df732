"""All records of one anchor's basis, for its explanation: replayed anew for each question, as a rebuild is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.positions import describe_basis
from ofs_spark.foundation.refs import name_staging
from ofs_spark.parity.anchors import Anchor
from ofs_spark.parity.cells import AnchorEnd, Cells, Reach, cut_cells
from ofs_spark.parity.events import Ends
from ofs_spark.parity.online_rows import make_online_spec
from ofs_spark.parity.plan import find_firsts
from ofs_spark.parity.ports import KeyRulings, Whole
from ofs_spark.parity.replaying import replay_basis
from ofs_spark.parity.sides import Side, find_side_changes, read_key_rulings
from ofs_spark.parity.states import develop
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.completeness import COMPLETE
from ofs_spark.replay.index import Place, locate_range
from ofs_spark.replay.scan_record import ScanPlace
from ofs_spark.workflow.context import RunContext

if TYPE_CHECKING:
    from ofs_spark.workflow.parity_report import Replayed

REPLAYS = 4
"""Of one explanation: each is a scan of the anchor's basis."""
KEY_EVENTS = 100_000
"""Deliveries of the keys that are read together, about; a key with more is left out."""


class ReplayedBasis:
    """The basis of one anchor. reach: of the cells that were replayed; rebuilt: the states that they gave."""

    def __init__(
        self, replayed: Replayed, anchor: Anchor, reach: Reach, rebuilt: Mapping[str, Any], context: RunContext
    ) -> None:
        self._replayed, self._anchor, self._rebuilt, self._context = replayed, anchor, rebuilt, context
        self._side = Side(replayed.scan.staged, replayed.folded, reach, list_places(replayed.resolution.cells))
        self._left = REPLAYS
        self._limits: dict[str, None] = {}

    @property
    def limits(self) -> Sequence[str]:
        """What was not computed, and why."""
        return tuple(self._limits)

    def compute(self, rules: OnlineCoreRules, ends: Ends) -> Whole | None:
        """What all records come to, by another replay."""
        if not self._left:
            self._limits[
                f"all records: computed with {REPLAYS} times, more changes fit the keys that were looked at"
            ] = None
            return None
        self._left -= 1
        resolution, objects = self._replayed.resolution, self._context.objects
        moved = [AnchorEnd(*one.place, ends.get(one.place[:2], -1)) for one in self._anchor.ends]
        cells = cut_cells(find_firsts(resolution.index), [moved])
        replay = replay_basis(self._replayed.engine, resolution.index, self._find_place(rules, cells), self._announce)
        if replay.scan.completeness.status != COMPLETE:
            self._limits["all records: the archive does not prove the other ends' offsets complete"] = None
            return None
        states = {one.pop("key"): one for one in develop(objects, replay.folded, cells.reach[0]).to_pylist()}
        after = Side(replay.scan.staged, replay.folded, cells.reach[0], list_places(cells))
        return Whole(states, lambda: find_side_changes(objects, self._side, after))

    def _find_place(self, rules: OnlineCoreRules, cells: Cells) -> ScanPlace:
        """Where a replay under other rules or ends stands: in a folder of its own, so that nothing of the plan is another's."""
        resolution, policy = self._replayed.resolution, self._context.policy
        spec = make_online_spec(resolution.index, rules, policy.arrival, policy.int96_is_utc, policy.most_decoded_bytes)
        pins = {
            "recipe": "ofs.parity_trial.v1",
            "plan_id": resolution.plan.plan_id,
            "key_precedence": list(rules.key_precedence),
            "amount_fields": list(rules.amount_fields),
            "basis": describe_basis(cells.ranges),
        }
        trial = digest(pins)
        folder = name_staging(resolution.plan.intent.platform_run_id, trial)
        return ScanPlace(self._context.objects, folder, trial, cells.ranges, spec)

    def _announce(self, doing: str) -> None:
        self._context.announce("parity", f"{doing} all records again, to prove a cause")

    def read_keys(self, keys: Sequence[str]) -> Iterator[KeyRulings]:
        """The law's rulings of some keys, from what was staged, so many keys at a time as have few events together."""
        held, count = list[str](), 0
        for key in keys:
            own = int(self._rebuilt[key]["event_count"])
            if own > KEY_EVENTS:
                self._limits[f"keys with more than {KEY_EVENTS} events are not added up in other orders"] = None
                continue
            if count + own > KEY_EVENTS:
                yield from read_key_rulings(self._context.objects, self._side, held)
                held, count = [], 0
            held.append(key)
            count += own
        if held:
            yield from read_key_rulings(self._context.objects, self._side, held)


def list_places(cells: Cells) -> list[Place]:
    """The partition of each ordinal of some cells, with its offset kind."""
    return sorted({locate_range(one) for one in cells.ranges}, key=lambda place: place[:2])
