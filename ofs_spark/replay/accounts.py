"""The replay's closing account: scan and step by event put together, counts that add up, samples by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.positions import Range
from ofs_spark.replay.completeness import Completeness
from ofs_spark.replay.counts import has_closed
from ofs_spark.replay.dedupe import COUNTS, EventAccount
from ofs_spark.replay.faults import SAMPLES, Document, ReplayFault, find_anomalies, locate_sample, sort_faults


@dataclass(frozen=True)
class ReplayTotals:
    """The replay's closing account: counts that add up, samples by position, and what refuses the build."""

    counts: Mapping[str, int]
    samples: Mapping[str, tuple[Document, ...]]
    faults: tuple[ReplayFault, ...]


def close_accounts(
    completeness: Completeness, basis: Sequence[Range], accounts: Iterable[EventAccount], training: bool
) -> ReplayTotals:
    """Scan and step by event put together; `accounts` has one per target of it, in any order.

    delivered = positions + position_duplicates; positions = rows + redeliveries + conflicts + out_of_scope + invalid.
    """
    found = list(accounts)
    by_event = {name: sum(one.counts[name] for one in found) for name in COUNTS}
    scanned = completeness.counts
    counts = {
        "delivered": scanned["delivered"],
        "position_duplicates": scanned["position_duplicates"],
        "positions": scanned["positions"],
        "rows": by_event["rows"],
        "redeliveries": by_event["redeliveries"],
        "conflicts": by_event["conflicts"],
        "out_of_scope": scanned["out_of_run_scope"] + by_event["filtered"],
        "invalid": scanned["invalid"] + by_event["invalid"],
        "mismatches": scanned["mismatches"],
    }
    if not has_closed(counts):
        raise InternalError(f"the replay's counts do not close: {dict(counts)}")
    samples = {kind: _merge_samples(basis, found, kind) for kind in ("conflict", "redelivery", "invalid")}
    faults = find_anomalies(by_event, samples) if training else []
    if not counts["rows"] and not (faults or completeness.faults):
        message = "no event of the basis is in scope: platform run, scenario runs and event types leave none"
        faults.append(ReplayFault("REPLAY_EVENTS_EMPTY", message, {"counts": counts}))
    invalid = (*completeness.samples["invalid"], *samples["invalid"])[:SAMPLES]
    return ReplayTotals(counts, {**completeness.samples, **samples, "invalid": invalid}, sort_faults(faults))


def _merge_samples(basis: Sequence[Range], accounts: Sequence[EventAccount], kind: str) -> tuple[Document, ...]:
    merged = sorted(
        (s for one in accounts for s in one.samples[kind]), key=lambda s: (s["partition_ordinal"], s["seq"])
    )
    reason = {"reason": "payload_hash is not the envelope's, of an event id seen twice"} if kind == "invalid" else {}
    return tuple(locate_sample(basis, {**sample, **reason}) for sample in merged[:SAMPLES])
