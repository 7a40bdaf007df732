"""A world: everything one build can see, as plain values. Written to disk by `writer`, judged by `tests.oracle`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

RUN = "platform_20260210T130700Z"
SCENARIO = "74bd83db1ad3d1fa136e579115d55429"
FACTS_REF = f"{RUN}/sr/run_facts_view/{SCENARIO}.json"
TOPIC = "fp.bus.traffic.fraud.v1"
PINS: dict[str, Any] = {
    "platform_run_id": RUN,
    "scenario_run_id": SCENARIO,
    "run_id": SCENARIO,
    "manifest_fingerprint": "c8" * 32,
    "parameter_hash": "56" * 32,
    "scenario_id": "baseline_v1",
    "seed": 42,
}
HASHED = "<hash of the envelope>"
LINKED = "<the last offset of the segment before>"


def canon(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def digest(value: Any) -> str:
    return hashlib.sha256(canon(value)).hexdigest()


def envelope_hash(text: str) -> str:
    """The archive's payload_hash law: over the envelope as Python reads it."""
    body = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(body.encode()).hexdigest()


def run_facts() -> dict[str, Any]:
    return {
        "run_id": SCENARIO,
        "platform_run_id": RUN,
        "scenario_run_id": SCENARIO,
        "pins": PINS,
        "locators": [],
        "gate_receipts": [],
        "instance_receipts": [],
        "policy_rev": {"policy_id": "sr", "revision": "r1"},
        "bundle_hash": "ab" * 32,
        "plan_ref": f"{RUN}/sr/plan.json",
        "record_ref": f"{RUN}/sr/record.json",
        "status_ref": f"{RUN}/sr/status.json",
    }


@dataclass(frozen=True)
class Row:
    """One archive row: one delivered offset. `None` is a null column."""

    offset: int
    event_id: str | None
    ts_utc: str | None
    envelope: str | None
    event_type: str | None = "card_payment"
    published_at_utc: str | None = None
    payload_hash: str | None = HASHED
    platform_run_id: str | None = RUN
    scenario_run_id: str | None = SCENARIO
    archived_at_utc: str = "2026-02-20T00:00:00.000000Z"

    @property
    def hash(self) -> str | None:
        if self.payload_hash != HASHED:
            return self.payload_hash
        try:
            return envelope_hash(self.envelope or "")
        except ValueError:
            return hashlib.sha256((self.envelope or "").encode()).hexdigest()


@dataclass(frozen=True)
class Segment:
    """One Parquet file and what the index says of it; the `stated_*` fields let an index lie."""

    topic: str
    partition: int
    rows: tuple[Row, ...]
    offset_kind: str = "kafka_offset"
    gaps: tuple[tuple[int, int], ...] = ()
    previous_last_offset: int | str | None = LINKED
    stated_first: int | None = None
    stated_last: int | None = None
    stated_count: int | None = None

    @property
    def first(self) -> int:
        return self.stated_first if self.stated_first is not None else min(row.offset for row in self.rows)

    @property
    def last(self) -> int:
        return self.stated_last if self.stated_last is not None else max(row.offset for row in self.rows)

    @property
    def count(self) -> int:
        return self.stated_count if self.stated_count is not None else len(self.rows)


@dataclass(frozen=True)
class World:
    """`policy` holds only what differs from the defaults: label_coverage_policy, min_mature_anchor_ratio, arrival.

    `outputs` are the bytes behind the run facts' locators, by path.
    """

    segments: tuple[Segment, ...]
    intent: Mapping[str, Any]
    profile: Mapping[str, Any]
    labels: tuple[Mapping[str, Any], ...] = ()
    run_facts: Mapping[str, Any] = field(default_factory=run_facts)
    label_marker: str | None = "commit-000001"
    label_committed_up_to_utc: str = "2026-06-01T00:00:00.000000Z"
    policy: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, bytes] = field(default_factory=dict)

    def with_intent(self, **changes: Any) -> World:
        return replace(self, intent={**self.intent, **changes})

    def with_group(self, **changes: Any) -> World:
        groups = [{**self.profile["feature_groups"][0], **changes}, *self.profile["feature_groups"][1:]]
        return replace(self, profile={**self.profile, "feature_groups": groups})


def linked(segments: tuple[Segment, ...]) -> list[Segment]:
    """The segments in index order (topic, partition, first offset), every LINKED previous_last_offset filled in."""
    out: list[Segment] = []
    for seg in sorted(segments, key=lambda s: (s.topic, s.partition, s.first, s.last)):
        before = out[-1] if out and (out[-1].topic, out[-1].partition) == (seg.topic, seg.partition) else None
        link = (before.last if before else None) if seg.previous_last_offset == LINKED else seg.previous_last_offset
        out.append(replace(seg, previous_last_offset=link))
    return out


def envelope(event_id: str | None, event_type: str | None, ts_utc: str | None, payload: Mapping[str, Any] | str) -> str:
    """Envelope text; a payload given as text is spliced in unchanged, so its numbers keep the digits as written."""
    head = {"event_id": event_id, "event_type": event_type, "schema_version": "v1", "ts_utc": ts_utc, **PINS}
    body = payload if isinstance(payload, str) else canon(dict(payload)).decode()
    return canon(head).decode()[:-1] + ',"payload":' + body + "}"


def row(offset: int, event_id: str, ts_utc: str, payload: Mapping[str, Any] | str, **columns: Any) -> Row:
    text = envelope(event_id, columns.get("event_type", "card_payment"), ts_utc, payload)
    return Row(offset, event_id, ts_utc, text, **columns)


def segment(*rows: Row, topic: str = TOPIC, partition: int = 0, **index: Any) -> Segment:
    return Segment(topic, partition, rows, **index)


def label(assertion: int, event_id: str, value: str, observed: str, **columns: Any) -> dict[str, Any]:
    """One `ls_label_timeline` row; effective when observed unless told otherwise."""
    base = {
        "label_assertion_id": f"{assertion:032x}",
        "platform_run_id": RUN,
        "event_id": event_id,
        "label_type": "fraud_disposition",
        "label_value": value,
        "effective_time": observed,
        "observed_time": observed,
        "source_type": "SYSTEM",
        "actor_id": None,
        "payload_hash": f"{assertion:064x}",
        "evidence_refs_json": "[]",
        "assertion_ref": f"{RUN}/label_store/assertions/{assertion:032x}.json",
        "committed_at_utc": observed,
    }
    return {**base, **columns}


def slice_(start: int, end: int, topic: str = TOPIC, partition: int = 0, kind: str = "kafka_offset") -> dict[str, Any]:
    """One replay_basis entry, both ends inclusive."""
    ends = {"start_offset": str(start), "end_offset": str(end)}
    return {"topic": topic, "partition": partition, "offset_kind": kind, **ends}


def intent(*basis: dict[str, Any], **changes: Any) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "schema_version": "learning.ofs_build_intent.v0",
        "request_id": "world.request.0001",
        "intent_kind": "dataset_build",
        "platform_run_id": RUN,
        "replay_basis": list(basis),
        "label_basis": {"label_asof_utc": "2026-06-01T00:00:00Z", "resolution_rule": "ls.resolved.v0"},
        "feature_definition_set": {"feature_set_id": "world", "feature_set_version": "v1"},
        "run_facts_ref": FACTS_REF,
        "policy_revision": "ofs-policy-v0",
        "config_revision": "local-parity-v0",
        "ofs_code_release_id": "git:0000000",
        "join_scope": {"label_types": ["fraud_disposition"]},
        "non_training_allowed": True,
    }
    return {**doc, **changes}


def profile(*groups: Mapping[str, Any], **own: Any) -> dict[str, Any]:
    """A profile whose set world@v1 names every given group, in order; `own`: what the set keeps of a row's event."""
    names = [f"{group['name']}@{group['version']}" for group in groups]
    return {
        "policy_id": "world.features",
        "revision": "r1",
        "feature_sets": [{"feature_set_id": "world", "feature_set_version": "v1", "groups": names, **own}],
        "feature_groups": [dict(group) for group in groups],
    }


def window(name: str) -> dict[str, str]:
    return {"window": name, "duration": name, "ttl": name}
