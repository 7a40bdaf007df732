"""A small online plane: it applies deliveries one at a time, by the law, and logs its state as snapshots and a decision.

It stands for the platform: what it logs lies below `{platform_run_id}/ofp/`, where OFS only reads. It keeps states in a
dict and knows neither segments nor columns, so that what OFS rebuilds from the archive is proved against something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ofs_spark.demo.archive import MADE, RUN, Archived, Delivery
from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.errors import InternalError
from ofs_spark.intake.world import write_json
from ofs_spark.parity.snapshot import FRESH, describe_version, digest_basis, hash_snapshot
from ofs_spark.pins.profile.compile import Profile
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.online_law import Skip, State, find_amount, find_class, find_key, find_skip, hash_online_payload

FOLDER = f"{RUN}/ofp"
STREAM = "fp.bus.traffic"
SHARES = (0.05, 0.1, 0.15)
"""How much of all deliveries the plane has applied when it logs a snapshot. It stops soon after the last one."""
FAULTY_TYPE = "card_payment"
"""The planted fault is about one of these: a row of the datasets that the demo's intents name."""
Place = tuple[str, int]


@dataclass
class OnlinePlane:
    """What the plane has after the deliveries that it was given. seen: position or event → the envelope that came first."""

    rules: OnlineCoreRules
    ends: dict[Place, int]
    states: dict[str, State] = field(default_factory=dict)
    seen: dict[object, str] = field(default_factory=dict)

    def take(self, one: Delivery) -> Skip | None:
        """Applies a delivery; if the law skips it, why."""
        envelope = json.loads(one.envelope)
        self.ends[one.topic, one.partition] = one.offset
        event_class = find_class(envelope, envelope["event_type"], one.topic)
        skip = find_skip(envelope, envelope["event_type"], one.topic, RUN)
        skip = skip or self._find_earlier(one, (event_class, envelope["event_id"]))
        if skip is None:
            self.apply(envelope)
        return skip

    def apply(self, envelope: Mapping[str, Any]) -> None:
        """Adds an event to its key, whatever came before."""
        key, amount = self.find_key(envelope), find_amount(envelope["payload"], self.rules.amount_fields)
        self.states[key] = self.states.get(key, State()).apply(amount, envelope["ts_utc"])

    def find_key(self, envelope: Mapping[str, Any]) -> str:
        """The key of an event, as a snapshot names it."""
        return ":".join(find_key(envelope["payload"], envelope["event_id"], self.rules.key_precedence))

    def _find_earlier(self, one: Delivery, event: tuple[str, str]) -> Skip | None:
        """Whether the position or the event was applied before, and with which payload. If not, it is now."""
        position = (one.topic, one.partition, one.offset)
        first = self.seen.get(position) or self.seen.get(event)
        if first is None:
            self.seen[position] = self.seen[event] = one.envelope
            return None
        return Skip.DUPLICATE if _hash(first) == _hash(one.envelope) else Skip.PAYLOAD_MISMATCH


def _hash(text: str) -> str:
    envelope = json.loads(text)
    return hash_online_payload(envelope["event_type"], envelope.get("schema_version"), envelope["payload"])


@dataclass(frozen=True)
class Logged:
    """What the plane left, as refs. planted: a snapshot with a fault.

    redelivery: {event_id, topic, partition, offset} of the delivery that the faulty plane applied again.
    """

    snapshots: tuple[str, ...]
    decision: str
    planted: str
    redelivery: Mapping[str, Any]

    @property
    def anchors(self) -> tuple[str, ...]:
        """Everything that can be compared."""
        return (*self.snapshots, self.decision, self.planted)


def log_online_plane(objects: Path, archived: Archived, profile: Profile) -> Logged:
    """Runs the plane over the first deliveries and writes what it logs: snapshots, one decision, one planted mismatch."""
    (rules,) = profile.program.online_core_rules
    plane = OnlinePlane(rules, {(one["topic"], one["partition"]): -1 for one in archived.basis})
    marks = {int(archived.count * share) for share in SHARES}
    logger, repeats = _Logger(objects, describe_version(profile)), _Repeats()
    for number, one in enumerate(archived.deliver(), start=1):
        skip = plane.take(one)
        if number in marks:
            logger.log_snapshot(f"{len(logger.snapshots) + 1:04d}", plane, one.delivered)
        if skip is Skip.DUPLICATE and repeats.add(plane, json.loads(one.envelope)) and number > max(marks):
            return _plant(plane, one, logger)
    raise InternalError("the demo's world has no redelivery that its planted fault could apply again; try another seed")


def _plant(plane: OnlinePlane, one: Delivery, logger: _Logger) -> Logged:
    """Ends the logs with the decision, and with the snapshot of a plane that applies the last delivery again."""
    snapshots = list(logger.snapshots)
    faulty, envelope = replace(plane, states=dict(plane.states)), json.loads(one.envelope)
    faulty.apply(envelope)
    logger.log_snapshot("planted", faulty, one.delivered)
    place = {"topic": one.topic, "partition": one.partition, "offset": str(one.offset)}
    return Logged(
        snapshots=tuple(snapshots),
        decision=logger.log_decision(snapshots[1]),
        planted=list(logger.snapshots)[-1],
        redelivery={"event_id": envelope["event_id"], **place},
    )


@dataclass
class _Repeats:
    """Keys and amounts of the redeliveries so far."""

    seen: set[tuple[str, float]] = field(default_factory=set)

    def add(self, plane: OnlinePlane, envelope: Mapping[str, Any]) -> bool:
        """Whether a redelivery fits the fault: a payment, and the first redelivery of its key with its amount.

        Applying another one would give the same state, and the archive could not tell which it was.
        """
        one = (plane.find_key(envelope), find_amount(envelope["payload"], plane.rules.amount_fields))
        is_first = one not in self.seen
        self.seen.add(one)
        return is_first and envelope["event_type"] == FAULTY_TYPE


@dataclass
class _Logger:
    """Writes documents of the plane. snapshots: by ref, in the order in which they were logged."""

    objects: Path
    version: Mapping[str, Any]
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)

    def log_snapshot(self, name: str, plane: OnlinePlane, now: int) -> None:
        """Writes what a plane has at an instant, in µs."""
        rules = {name: list(fields) for name, fields in asdict(plane.rules).items()}
        content = {
            "pins": MADE.pins,
            "as_of_time_utc": format_instant(now),
            **self.version,
            "eb_offset_basis": _describe_basis(plane.ends, now),
            "graph_version": None,
            "run_config_digest": digest({"stream": STREAM, **rules}),
            "features": {key: asdict(state) for key, state in plane.states.items()},
            "freshness": dict(FRESH),
        }
        snapshot = {**content, "created_at_utc": format_instant(now), "snapshot_hash": hash_snapshot(content)}
        self.snapshots[self._write(f"snapshots/{name}", snapshot)] = snapshot

    def log_decision(self, ref: str) -> str:
        """Writes the payload of a decision that was made on a snapshot; its ref."""
        snapshot = self.snapshots[ref]
        kept = ("snapshot_hash", "eb_offset_basis", "pins", "run_config_digest", "graph_version")
        own = {"decision_id": digest([ref, snapshot["snapshot_hash"]])[:32], "snapshot_ref": ref}
        return self._write("decisions/0001", {**own, **{name: snapshot[name] for name in kept}})

    def _write(self, name: str, document: dict[str, Any]) -> str:
        ref = f"{FOLDER}/{name}.json"
        write_json(self.objects / ref, document)
        return ref


def _describe_basis(ends: Mapping[Place, int], now: int) -> dict[str, Any]:
    """The last offset applied of every partition; -1 where none was."""
    offsets = [
        {"topic": topic, "partition": partition, "offset": str(last)}
        for (topic, partition), last in sorted(ends.items())
    ]
    basis = {"stream": STREAM, "offset_kind": "kafka_offset", "offsets": offsets}
    return {**basis, "basis_digest": digest_basis(basis), "window_end_utc": format_instant(now)}
