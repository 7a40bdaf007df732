"""Refusals: which room speaks first, and the pins that forbid a build."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from tests.spec.tables import facts
from tests.spec.tables.windows import UNORDERED, world
from tests.worlds.model import World, intent, profile, run_facts, slice_
from tests.worlds.tables import Case, expected, stream

ONE = "event|time|card\ne0|10:00|1"
SET = {"feature_set_id": "world", "feature_set_version": "v1"}
LOCATOR = {"output_id": "sealed", "path": "data/sealed.parquet", "manifest_fingerprint": "c8" * 32}
SEALED = hashlib.sha256(b"sealed").hexdigest()
TARGET = {"output_id": "sealed", "path": "data/sealed.parquet"}


def receipt(status: str, **target: Any) -> dict[str, Any]:
    return {
        "output_id": "sealed",
        "status": status,
        "scope": {"manifest_fingerprint": "c8" * 32},
        "target_ref": {**TARGET, **target},
        "target_digest": SEALED,
    }


def gate(status: str, fingerprint: str = "c8" * 32) -> dict[str, Any]:
    return {"gate_id": "g1", "status": status, "scope": {"manifest_fingerprint": fingerprint}}


def needs(
    instance: tuple[dict[str, Any], ...] = (), gates: tuple[dict[str, Any], ...] = (), located: bool = True
) -> World:
    """A build that requires the output `sealed`. Its bytes are only asked for once its receipts admit it."""
    receipts = {"instance_receipts": list(instance), "gate_receipts": list(gates)}
    return replace(
        world(ONE).with_intent(join_scope={"label_types": ["fraud_disposition"], "required_output_ids": ["sealed"]}),
        run_facts={**run_facts(), "locators": [LOCATOR] if located else [], **receipts},
    )


def holding(body: bytes, w: World) -> World:
    """The same world, with bytes behind the locator and a stated digest of b"sealed"."""
    located = LOCATOR | {"content_digest": {"algo": "sha256", "hex": SEALED}}
    return replace(w, outputs={"data/sealed.parquet": body}, run_facts={**w.run_facts, "locators": [located]})


GAP = world(ONE).with_intent(replay_basis=[slice_(0, 5)])
CASES = {
    "receipt_failed": Case("A receipt that is not PASS denies.", needs((receipt("FAIL"),)), code="NO_PASS_NO_READ"),
    "receipt_failed_gate_passed": Case(
        "A gate does not overrule it.", needs((receipt("FAIL"),), (gate("PASS"),)), code="NO_PASS_NO_READ"
    ),
    "receipt_of_another_path": Case(
        "A PASS for other bytes is none.", needs((receipt("PASS", path="data/else.parquet"),)), code="NO_PASS_NO_READ"
    ),
    "no_receipt": Case("No receipt at all.", needs(), code="NO_PASS_NO_READ"),
    "gate_of_another_scope": Case(
        "A gate of another world.", needs(gates=(gate("PASS", "ff" * 32),)), code="NO_PASS_NO_READ"
    ),
    "gate_failed": Case("A gate that failed.", needs(gates=(gate("FAIL"),)), code="NO_PASS_NO_READ"),
    "no_locator": Case(
        "Nothing says where it is.", needs(gates=(gate("PASS"),), located=False), code="NO_PASS_NO_READ"
    ),
    "receipt_passed": Case(
        "A PASS receipt for these bytes admits, whatever the gates say.",
        holding(b"sealed", needs((receipt("FAIL", path="data/old.parquet"), receipt("PASS")), (gate("FAIL"),))),
        expected("event|count_1h\ne0|1"),
    ),
    "gate_passed": Case(
        "Without a receipt, a PASS gate of the locator's scope admits.",
        holding(b"sealed", needs(gates=(gate("PASS"),))),
        expected("event|count_1h\ne0|1"),
    ),
    "other_bytes": Case(
        "Bytes that are not the stated ones.",
        holding(b"sealed!", needs((receipt("PASS"),))),
        code="CONTEXT_DIGEST_MISMATCH",
    ),
    "unknown_set": Case(
        "The profile has no such set or group.",
        world(ONE).with_intent(feature_definition_set={"feature_set_id": "world", "feature_set_version": "v9"}),
        code="FEATURE_PROFILE_UNRESOLVED",
    ),
    "set_names_an_unknown_group": Case(
        "A set one of whose groups is not there.",
        replace(world(ONE), profile={**world(ONE).profile, "feature_sets": [{**SET, "groups": ["g@v1", "h@v1"]}]}),
        code="FEATURE_PROFILE_UNRESOLVED",
    ),
    "intent_before_pins": Case(
        "The intent is refused before its pins are looked at.",
        needs().with_intent(filters={"country": "DE"}),
        code="FILTER_UNSUPPORTED",
    ),
    "facts_before_profile": Case(
        "Run facts before the profile.",
        needs().with_intent(feature_definition_set={"feature_set_id": "world", "feature_set_version": "v9"}),
        code="NO_PASS_NO_READ",
    ),
    "rule_before_replay": Case(
        "The label rule's name before replay.",
        GAP.with_intent(label_basis={"label_asof_utc": "2026-03-01T00:00:00Z", "resolution_rule": "none"}),
        code="LABEL_RULE_UNSUPPORTED",
    ),
    "replay_before_labels": Case(
        "Replay before labels.", facts.training(GAP).with_intent(filters={}), code="REPLAY_BASIS_GAP"
    ),
    "order_before_coverage": Case(
        "What replay leaves undefined before labels, though only a group can tell.",
        world(UNORDERED).with_intent(non_training_allowed=False),
        code="ORDER_UNDEFINED",
    ),
    "order_before_no_anchor": Case(
        "Also where no event is an anchor.",
        world(UNORDERED).with_intent(filters={"country": ["XX"]}),
        code="ORDER_UNDEFINED",
    ),
    "labels_before_features": Case(
        "Labels before features.",
        world(ONE, values={"amount": {"path": "payload.amount", "type": "int", "missing": "fail"}}).with_intent(
            non_training_allowed=False
        ),
        code="COVERAGE_POLICY_VIOLATION",
    ),
    "group_named_alone": Case(
        "Where the profile has no such set, the group of that name and version is the set.",
        World(
            stream(ONE),
            intent(slice_(0, 0), feature_definition_set={"feature_set_id": "g", "feature_set_version": "v1"}),
            {k: v for k, v in profile(*world(ONE).profile["feature_groups"]).items() if k != "feature_sets"},
        ),
        expected("event|count_1h\ne0|1"),
    ),
}
