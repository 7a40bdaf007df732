"""The whole pipeline in plain lists: a World in, the dataset or the refusal out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.oracle import labels
from tests.oracle.conditions import among
from tests.oracle.core import core_features
from tests.oracle.exact import Refused, duration, instant, micros
from tests.oracle.features import group_features, noting, windows_of
from tests.oracle.own import declared_set, own_columns, own_paths
from tests.oracle.replay import Event, Replay, index_faults, replay
from tests.worlds.model import World

INPUT_FILTERS = ("label_types", "label_coverage_policy", "event_types")
SCOPE_KEYS = ("subject_key", "required_output_ids", "label_types", "anchor_event_types")


@dataclass(frozen=True)
class Dataset:
    """Rows in total order, each a dict in column order. Refused: no rows, `codes` of the first room that refuses."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)
    coverage: Mapping[str, Mapping[str, Fraction]] = field(default_factory=dict)
    truncated: Mapping[str, int] = field(default_factory=dict)
    training_ready: bool = False
    codes: tuple[str, ...] = ()

    @property
    def refusal(self) -> str | None:
        return self.codes[0] if self.codes else None


def build(world: World) -> Dataset:
    """The rooms in their order; the first that refuses ends the build."""
    try:
        return _build(world)
    except Refused as no:
        return Dataset(codes=no.codes)


def _build(world: World) -> Dataset:
    training = admit(world.intent)
    groups, declared = pin(world), declared_set(world)
    known_beforehand(world, training)
    history = replay(world, training, groups, own_paths(declared))
    anchors = anchors_of(world.intent, history.events)
    faults: list[str] = []
    own = [noting(faults, own_columns, declared, groups, a) or {} for a in anchors]
    features = [noting(faults, features_of, world, g, history.events, anchors) for g in groups]
    if "ORDER_UNDEFINED" in faults:  # what the replay did not settle, though only a group can tell
        raise Refused("ORDER_UNDEFINED")
    if not anchors:
        raise Refused("LABEL_SCOPE_EMPTY")
    choices, coverage = join_labels(world, anchors)
    ready = labels.ready(world, coverage)
    if training and not ready:
        raise Refused("COVERAGE_POLICY_VIOLATION")
    if faults:
        raise Refused(faults)
    rows = [
        identity(a)
        | own[i]
        | {name: value for table in features for name, value in table[i].items()}
        | {name: value for t in choices for name, value in labels.columns(t, choices[t][i]).items()}
        | {"_topic": a.topic, "_partition": a.partition, "_offset": str(a.offset)}
        for i, a in enumerate(anchors)
    ]
    return Dataset(rows, history.counts, coverage, truncated(groups, history, anchors), ready)


def admit(intent: Mapping[str, Any]) -> bool:
    """Whether this is a training intent; refuses what the intent alone shows to be wrong."""
    basis = intent.get("label_basis") or {}
    if not basis.get("label_asof_utc"):
        raise Refused("LABEL_ASOF_MISSING")
    if not intent.get("replay_basis"):
        raise Refused("BASIS_UNRESOLVED")
    unknown = set(intent.get("join_scope") or {}) - set(SCOPE_KEYS)
    named = {k: v for k, v in (intent.get("filters") or {}).items() if k not in INPUT_FILTERS}
    if unknown or not all(isinstance(values, list) and values for values in named.values()):
        raise Refused("FILTER_UNSUPPORTED")
    dataset = intent["intent_kind"] in ("dataset_build", "backfill_rebuild")
    return dataset and not intent.get("non_training_allowed") and basis.get("posture", "KNEW_THEN") == "KNEW_THEN"


def known_beforehand(world: World, training: bool) -> None:
    """What needs no row, in the order of rooms: the basis against the index, the label types, the extract's marker."""
    missing = index_faults(world)
    if missing:
        raise Refused(missing)
    labels.label_types(world.intent)
    asof, upto = world.intent["label_basis"]["label_asof_utc"], world.label_committed_up_to_utc
    if training and world.label_marker is not None and micros(upto) < micros(asof):
        raise Refused("LABEL_ASOF_BEYOND_MARKER")


def pin(world: World) -> list[Mapping[str, Any]]:
    """The selected groups in the set's order; run facts first, then the profile, then the label rule's name."""
    intent, facts, profile = world.intent, world.run_facts, world.profile
    for output in (intent.get("join_scope") or {}).get("required_output_ids") or []:
        read_output(world, facts, output)
    wanted = intent["feature_definition_set"]
    groups = {f"{g['name']}@{g['version']}": g for g in profile["feature_groups"]}
    alone = [f"{wanted['feature_set_id']}@{wanted['feature_set_version']}"]
    selected = declared_set(world).get("groups", alone)
    if not all(name in groups for name in selected):
        raise Refused("FEATURE_PROFILE_UNRESOLVED")
    if intent["label_basis"]["resolution_rule"] not in labels.RESOLVED_RULES + labels.LATEST_RULES:
        raise Refused("LABEL_RULE_UNSUPPORTED")
    return [groups[name] for name in selected]


def read_output(world: World, facts: Mapping[str, Any], output_id: str) -> None:
    """A required output passes its receipts and, where a digest is stated, holds those bytes."""
    if not may_read(facts, output_id):
        raise Refused("NO_PASS_NO_READ", output_id)
    locator = next(x for x in facts["locators"] if x["output_id"] == output_id)
    stated = (locator.get("content_digest") or {}).get("hex")
    if stated not in (None, hashlib.sha256(world.outputs[locator["path"]]).hexdigest()):
        raise Refused("CONTEXT_DIGEST_MISMATCH", output_id)


def may_read(facts: Mapping[str, Any], output_id: str) -> bool:
    """No PASS, no read."""
    for locator in (x for x in facts["locators"] if x["output_id"] == output_id):
        receipts = [r for r in facts["instance_receipts"] if r["output_id"] == output_id]
        if receipts:
            here = (r for r in receipts if r["target_ref"]["path"] == locator["path"])
            return any(r["status"] == "PASS" for r in here)
        scope = locator.get("manifest_fingerprint")
        return any(
            g["status"] == "PASS" and g["scope"].get("manifest_fingerprint") == scope for g in facts["gate_receipts"]
        )
    return False


def anchors_of(intent: Mapping[str, Any], events: list[Event]) -> list[Event]:
    """The events that become rows: every one that no anchor rule leaves out. Feature state still sees the others."""
    types = (intent.get("join_scope") or {}).get("anchor_event_types")
    span = (intent.get("output") or {}).get("anchor_time") or {}
    first, end = (micros(span[k]) if k in span else None for k in ("from", "to"))
    named = {k: v for k, v in (intent.get("filters") or {}).items() if k not in INPUT_FILTERS}
    return [
        e
        for e in events
        if (types is None or e.event_type in types)
        and (first is None or first <= e.ts)
        and (end is None or e.ts < end)
        and all(among(e.envelope["payload"].get(name), values) for name, values in named.items())
    ]


def join_labels(
    world: World, anchors: list[Event]
) -> tuple[dict[str, list[labels.Choice]], dict[str, dict[str, Fraction]]]:
    """Per type, ascending: each anchor's choice, and the ratios over all of them."""
    types = labels.label_types(world.intent)
    known, rule = labels.known(world), world.intent["label_basis"]["resolution_rule"]
    about: dict[tuple[str, str], list[labels.Assertion]] = {}
    for assertion in known:
        if assertion["platform_run_id"] == world.intent["platform_run_id"]:
            about.setdefault((assertion["event_id"], assertion["label_type"]), []).append(assertion)
    choices = {t: [labels.resolve(about.get((a.event_id, t), []), rule) for a in anchors] for t in types}
    times = [a.ts for a in anchors]
    return choices, {t: labels.coverage(world, chosen, times) for t, chosen in choices.items()}


def features_of(
    world: World, group: Mapping[str, Any], events: list[Event], anchors: list[Event]
) -> list[dict[str, Any]]:
    if "features" in group:
        return group_features(group, events, anchors)
    return core_features(group, events, anchors, world.intent["platform_run_id"])


def identity(a: Event) -> dict[str, Any]:
    run = {"platform_run_id": a.platform_run_id, "event_id": a.event_id}
    return {**run, "event_type": a.event_type, "ts_utc": instant(a.ts)}


def truncated(groups: list[Mapping[str, Any]], history: Replay, anchors: list[Event]) -> dict[str, int]:
    """Rows whose window starts before the basis does, per windowed feature column."""
    counts = {}
    for group in groups:
        for f in group.get("features") or []:
            delay = duration(f.get("delay", group.get("delay", "0s")))
            for suffix, length in windows_of(group, f):
                if length is not None:
                    starts = [a.ts - delay - length for a in anchors]
                    name = f"{group['name']}__{f['name']}{suffix}"
                    counts[name] = sum(start < history.truncation_bound for start in starts)
    return counts
