"""The demo world: an object root as the contracts say, profiles, two intents and a wiring, all from one seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ofs_spark.demo.archive import MADE, RUN, Archived, write_archive
from ofs_spark.demo.labels import write_labels
from ofs_spark.demo.online_plane import Logged, log_online_plane
from ofs_spark.demo.payments import START_US, Payments, Shape, invent_payments
from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.clock import DAY_US, format_instant
from ofs_spark.foundation.wording import write_count
from ofs_spark.intake.world import (
    compose_wiring,
    describe_output,
    describe_receipt,
    write_parquet,
    write_run_facts,
)
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.pins.profile.compile import read_profile

RUN_FACTS = MADE.run_facts_ref
PROFILE = """\
policy_id: fraud.card.features
revision: r7
feature_sets:
  - {feature_set_id: card_fraud, feature_set_version: v3, groups: [customer@v1, terminal@v2]}
  - feature_set_id: card_fraud
    feature_set_version: v2
    groups: [customer@v1]
    anchor:
      - {name: amount, path: payload.amount, type: "decimal(12,2)"}
      - {name: channel, path: payload.channel, type: string}
    keep_keys: true
feature_groups:
  - name: customer
    version: v1
    key: [payload.customer_id]
    source: {event_types: [card_payment]}
    values:
      amount: {path: payload.amount, type: "decimal(12,2)", unit: EUR, missing: fail}
      merchant: {path: payload.merchant_id, type: string, missing: "null"}
    windows:
      - {window: 1h, duration: 1h, ttl: 1h}
      - {window: 24h, duration: 24h, ttl: 24h}
      - {window: 7d, duration: 7d, ttl: 7d}
    features:
      - {name: count, aggregate: count}
      - {name: spend, aggregate: sum, value: amount}
      - {name: mean, aggregate: mean, value: amount}
      - {name: largest, aggregate: max, value: amount, windows: [24h, 7d]}
      - {name: spread, aggregate: stddev_pop, value: amount, windows: [7d]}
      - {name: merchants, aggregate: count_distinct, value: merchant, windows: [7d]}
      - {name: declined, aggregate: rate, windows: [7d], where: {path: payload.result, eq: declined}}
      - {name: gap, aggregate: time_since_previous, windows: [7d]}
    derived:
      - {name: over_mean_7d, ratio: [amount, mean_7d]}
  - name: terminal
    version: v2
    key: [payload.terminal_id]
    source: {event_types: [card_payment]}
    delay: 7d
    values:
      amount: {path: payload.amount, type: "decimal(12,2)", unit: EUR, missing: fail}
    windows:
      - {window: 1d, duration: 1d, ttl: 1d}
      - {window: 7d, duration: 7d, ttl: 7d}
      - {window: 30d, duration: 30d, ttl: 30d}
    features:
      - {name: count, aggregate: count}
      - {name: spend, aggregate: sum, value: amount, windows: [7d, 30d]}
      - {name: first_seen, aggregate: time_since_first, windows: [30d]}
"""
CORE_PROFILE = """\
policy_id: ofp.features.v0
revision: r1
feature_groups:
  - name: core_features
    version: v1
    key_type: flow_id
    windows:
      - {window: 1h, duration: 1h, ttl: 1h}
      - {window: 24h, duration: 24h, ttl: 24h}
      - {window: 7d, duration: 7d, ttl: 7d}
"""


@dataclass(frozen=True)
class DemoWorld:
    """Where things are, and what is known to be in them.

    parity, planted, forensic, sweep: intents; anchors: the file of the sweep. redelivery: what the planted snapshot has twice.
    """

    root: Path
    objects: Path
    wiring: Path
    training: Path
    explore: Path
    parity: Path
    planted: Path
    forensic: Path
    sweep: Path
    anchors: Path
    redelivery: Mapping[str, Any]
    payments: int
    fraud: int
    redeliveries: int
    late: int
    token_checks: int
    assertions: int


def write_demo_world(
    root: Path, seed: int, shape: Shape, releases: Mapping[str, str], announce: Callable[[str, str], None]
) -> DemoWorld:
    """Writes the world into `root`; the same seed and shape give the same bytes. `releases`: the revisions intents state."""
    rng = np.random.default_rng(seed)
    objects = root / "objects"
    people = f"{write_count(shape.payments, 'event')} of {write_count(shape.customers, 'customer')}"
    announce("demo", f"invents {people} over {write_count(shape.days, 'day')}")
    made = invent_payments(shape, rng)
    announce("demo", "delivers them: eight partitions, 2 % twice, 3 % late")
    archived = write_archive(objects, made, rng, rows_per_segment=max(1_000, min(50_000, shape.payments // 16)))
    asof_us = START_US + (shape.days + 10) * DAY_US
    announce("demo", "lets investigators and card schemes judge them")
    assertions = write_labels(objects, made, asof_us, rng)
    _write_run_facts(objects)
    profiles = root / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    (profiles / "card_fraud.yaml").write_text(PROFILE, encoding="utf-8")
    (profiles / "core_features.yaml").write_text(CORE_PROFILE, encoding="utf-8")
    announce("demo", "lets an online plane apply the first of them and log its snapshots")
    logged = log_online_plane(objects, archived, read_profile(LocalObjects.at(profiles), "core_features", "v1"))
    asked = _make_intents(archived, asof_us, shape, releases, logged)
    intents = {name: _write_intent(root / "intents" / f"{name}.json", document) for name, document in asked.items()}
    return DemoWorld(
        root=root,
        objects=objects,
        wiring=write_wiring(root, "objects", {}),
        **intents,
        anchors=_write_anchors(root / "intents" / "anchors.jsonl", logged),
        redelivery=logged.redelivery,
        payments=shape.payments,
        fraud=int(made.fraud.sum()),
        redeliveries=archived.redeliveries,
        late=archived.late,
        token_checks=archived.token_checks,
        assertions=assertions,
    )


def _write_anchors(path: Path, logged: Logged) -> Path:
    """The file of a sweep: everything that the plane logged, an anchor a line."""
    path.write_bytes(b"".join(encode_canonical({"anchor_ref": ref}) + b"\n" for ref in logged.anchors))
    return path


def write_wiring(root: Path, folder: str, spark: Mapping[str, str], engine: str = "auto") -> Path:
    """A wiring of this world whose object root is `folder`; paths are relative to the file."""
    path = root / ("wiring.yaml" if folder == "objects" else f"wiring-{folder}.yaml")
    path.write_text(compose_wiring(folder, MADE.extract_ref, spark, engine), encoding="utf-8")
    return path


def _write_run_facts(objects: Path) -> None:
    """Run facts with one gated output that passed (merchant categories) and one that failed."""
    surface = f"{RUN}/reference/merchant_categories.parquet"
    names = [f"merch-{i:04d}" for i in range(700)]
    categories = [("grocery", "fuel", "travel", "games")[i % 4] for i in range(700)]
    stored = write_parquet(objects, surface, pa.table({"merchant_id": names, "category": categories}))
    sealed, sha256 = f"{RUN}/reference/raw_cases.parquet", stored["sha256"]
    facts = {
        "locators": [
            describe_output(MADE, "merchant_categories", surface, sha256),
            describe_output(MADE, "raw_cases", sealed),
        ],
        "instance_receipts": [
            describe_receipt(MADE, "merchant_categories", surface, "PASS", sha256),
            describe_receipt(MADE, "raw_cases", sealed, "FAIL", sha256),
        ],
        "policy_rev": {"policy_id": "sr.policy", "revision": "r1"},
        "bundle_hash": "ab" * 32,
    }
    write_run_facts(objects, MADE, facts)


def _write_intent(path: Path, document: dict[str, Any]) -> Path:
    """An intent as people write one: its members a line each, in the order in which they are said."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def _make_intents(
    archived: Archived, asof_us: int, shape: Shape, releases: Mapping[str, str], logged: Logged
) -> dict[str, dict[str, Any]]:
    common = {
        "schema_version": "learning.ofs_build_intent.v0",
        "intent_kind": "dataset_build",
        "platform_run_id": RUN,
        "scenario_run_ids": [MADE.scenario_run_id],
        "replay_basis": archived.basis,
        "run_facts_ref": RUN_FACTS,
        "label_basis": {
            "label_asof_utc": format_instant(asof_us), "resolution_rule": "ls.resolved.v0", "maturity_days": 14,
        },
        **releases,
    }  # fmt: skip
    enough = {"min_coverage_by_label_type": {"fraud_disposition": 0.99}, "max_conflict_ratio": 0.001}
    training = {
        "feature_definition_set": {"feature_set_id": "card_fraud", "feature_set_version": "v3"},
        "join_scope": {
            "label_types": ["fraud_disposition"],
            "anchor_event_types": ["card_payment"],
            "required_output_ids": ["merchant_categories"],
        },
        "filters": {"label_coverage_policy": enough},
    }
    explore = {
        "non_training_allowed": True,
        "feature_definition_set": {"feature_set_id": "card_fraud", "feature_set_version": "v2"},
        "join_scope": {
            "label_types": ["chargeback_status", "fraud_disposition"],
            "anchor_event_types": ["card_payment"],
        },
        "filters": {"country": ["GB"]},
    }
    asked: dict[str, dict[str, Any]] = {"training": training, "explore": explore, **_ask_of_online_plane(logged)}
    return {name: {**common, "request_id": f"demo.{name}.{shape.payments}", **own} for name, own in asked.items()}


def _ask_of_online_plane(logged: Logged) -> dict[str, dict[str, Any]]:
    """What the intents of parity and forensics have of their own, by name."""
    core = {
        "intent_kind": "parity_rebuild",
        "feature_definition_set": {"feature_set_id": "core_features", "feature_set_version": "v1"},
        "join_scope": {},
    }
    return {
        "parity": {**core, "parity_anchor_ref": logged.snapshots[-1]},
        "planted": {**core, "parity_anchor_ref": logged.planted},
        "forensic": {**core, "intent_kind": "forensic_rebuild", "parity_anchor_ref": logged.decision},
        "sweep": core,
    }


__all__ = ["CORE_PROFILE", "PROFILE", "DemoWorld", "Payments", "Shape", "write_demo_world", "write_wiring"]
