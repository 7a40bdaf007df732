"""The identities of an intent: pure functions of its meaning, the same on every machine.

Slices and scenario runs are sorted, so their order never matters; everything else enters as written. No clock, host,
request id (except in `run_key`), wiring or engine setting takes part.
"""

from __future__ import annotations

from typing import Any

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.positions import describe_basis
from ofs_spark.intent.model import Intent


def derive_run_key(request_id: str) -> str:
    """32 hex: which run a request is."""
    return digest({"recipe": "ofs.run_key.v1", "request_id": request_id})[:32]


def compose_intent_payload(intent: Intent) -> dict[str, Any]:
    """The whole intent with its defaults present: what one request id may be used for."""
    defaults = {"join_scope": {}, "filters": {}, "non_training_allowed": False}
    return {**defaults, **intent.document}


def hash_intent_payload(intent: Intent) -> str:
    """64 hex: two documents under one request id are the same request iff these are equal."""
    payload = encode_canonical(compose_intent_payload(intent)).decode("ascii")
    return digest({"recipe": "ofs.intent_payload.v1", "payload": payload})


def compose_identity(intent: Intent) -> dict[str, Any]:
    """Everything of an intent that decides what the dataset means.

    BASIS_UNRESOLVED for a time-window selector: it means nothing before it is resolved to offsets.
    """
    document = intent.document
    identity = {
        "platform_run_id": intent.platform_run_id,
        "scenario_run_ids": sorted(intent.scenario_run_ids or ()),
        "replay_basis": describe_slices(intent),
        "label_basis": document["label_basis"],
        "feature_definition_set": document["feature_definition_set"],
        "join_scope": document.get("join_scope", {}),
        "filters": document.get("filters", {}),
        "policy_revision": intent.policy_revision,
        "config_revision": intent.config_revision,
        "ofs_code_release_id": intent.code_release,
    }
    if not intent.v1:
        return identity
    if intent.time_window is not None:
        message = f"the time window [{intent.time_window.start}, {intent.time_window.end}) is not resolved to offsets"
        raise refuse("BASIS_UNRESOLVED", message, pointer="/replay_selector/time_window")
    return identity | {
        "replay_basis": describe_basis(intent.basis),
        "label_basis": {**document["label_basis"], "posture": intent.posture},
        "training": intent.training,
        "output": _describe_output(intent),
        "supersedes": sorted(intent.supersedes),
        "correction_stamp": intent.correction_stamp,
    }


def fingerprint_dataset(intent: Intent) -> str:
    """64 hex: equal for two intents iff they mean the same dataset. BASIS_UNRESOLVED as `dataset_identity`."""
    recipe = "ofs.dataset_fingerprint.v2" if intent.v1 else "ofs.dataset_fingerprint.v1"
    return digest({"recipe": recipe, "payload": compose_identity(intent)})


def derive_manifest_id(fingerprint: str) -> str:
    """`dm_` and 32 hex: the name of the dataset with this fingerprint."""
    payload = {"dataset_fingerprint": fingerprint}
    return "dm_" + digest({"recipe": "ofs.dataset_manifest_id.v1", "payload": payload})[:32]


def describe_slices(intent: Intent) -> list[dict[str, Any]]:
    """The slices as the intent names them, in identity order."""
    return [one.to_document() for one in sorted(intent.slices, key=lambda one: one.identity_order)]


def compose_manifest_v0(intent: Intent) -> dict[str, Any]:
    """The v0 view of the dataset's manifest, as readers of contract v0 expect it."""
    fingerprint = fingerprint_dataset(intent)
    labels = intent.document["label_basis"]
    return {
        "schema_version": "learning.dataset_manifest.v0",
        "dataset_manifest_id": derive_manifest_id(fingerprint),
        "dataset_fingerprint": fingerprint,
        "platform_run_id": intent.platform_run_id,
        "scenario_run_ids": list(intent.scenario_run_ids or ()),
        "replay_basis": describe_slices(intent),
        "label_basis": {name: value for name, value in labels.items() if name != "posture"},
        "feature_definition_set": dict(intent.document["feature_definition_set"]),
        "provenance": {
            "ofs_code_release_id": intent.code_release,
            "config_revision": intent.config_revision,
            "run_config_digest": intent.policy_revision,
        },
    }


def _describe_output(intent: Intent) -> dict[str, Any]:
    """The output with its default kind present and its set-like lists sorted."""
    output = {"dataset_kind": "per_event", **intent.document.get("output", {})}
    if "cut_points" in output:
        output["cut_points"] = sorted(output["cut_points"], key=lambda text: (parse_instant(text), text))
    if "sampling" in output:
        positive = sorted(output["sampling"]["positive_values"])
        output["sampling"] = {**output["sampling"], "positive_values": positive}
    return output
