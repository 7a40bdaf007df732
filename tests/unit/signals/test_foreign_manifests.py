"""Where a manifest should stand there is something else: it is named, never replaced, never an error of OFS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation.commands import NOBODY
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.pins.profile.compile import read_profile
from tests.unit.signals.test_hold import WORLD, asked, manifest_of
from tests.worlds.model import canon
from tests.worlds.running import build
from tests.worlds.writer import write_world


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"a": 1, "a": 2}', b"[" * 5000, b'{"pins": {}}', b"\xff", b'"text"'],
    ids=["empty", "brace", "list", "null", "object", "twice", "deep", "pins", "not_utf8", "text"],
)
def test_what_is_no_manifest_is_no_answer(body: bytes, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    build(written)
    manifest = manifest_of(written)
    manifest.write_bytes(body)
    outcome = build(written, intent=asked(2))
    assert outcome.code == "MANIFEST_IMMUTABILITY_VIOLATION"
    assert outcome.refusal is not None
    assert outcome.refusal.write_next(NOBODY) == f"ofs show {manifest.relative_to(written.root)}"
    assert manifest.read_bytes() == body


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"], ids=["empty", "brace", "list", "not_utf8"])
def test_what_is_no_object_is_not_shown(body: bytes, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    written.root.joinpath("x").mkdir()
    written.root.joinpath("x", "m.json").write_bytes(body)
    with (
        open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context,
        pytest.raises(Refusal) as said,
    ):
        pipeline.show_manifest("x/m.json", context)
    assert said.value.code == "SCHEMA_INVALID"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("pins", None),
        lambda m: m["pins"].clear(),
        lambda m: m.pop("gates", None),
        lambda m: m.pop("differences", None),
        lambda m: m["labels"]["coverage"].update({"fraud_disposition": {}}),
        lambda m: m["evidence"].clear(),
        lambda m: m["replay"]["counts"].clear(),
        lambda m: m.update({"dataset_manifest_id": "dm_" + "0" * 32}),
        lambda m: m.update({"platform_run_id": "platform_20250101T000000Z"}),
    ],
    ids=["no_pins", "empty_pins", "no_gates", "no_differences", "no_ratios", "no_evidence", "no_counts", "id", "run"],
)
@pytest.mark.parametrize("training", [False, True])
def test_a_manifest_changed_by_hand_is_refused_or_answered_never_an_error(
    change: Callable[[dict[str, Any]], object], training: bool, tmp_path: Path
) -> None:
    written = write_world(WORLD, tmp_path)
    build(written)
    manifest = manifest_of(written)
    document = json.loads(manifest.read_bytes())
    change(document)
    manifest.write_bytes(canon(document))
    outcome = build(written, intent=asked(2, non_training_allowed=not training))
    if outcome.answer is None:
        assert outcome.code in {"MANIFEST_IMMUTABILITY_VIOLATION", "TRAINING_NOT_ADMISSIBLE"}
    else:
        assert outcome.answer["dataset_manifest_id"] in manifest.name


def test_a_manifest_of_the_older_recipe_is_compared_by_it(tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    build(written)
    manifest = manifest_of(written)
    document = json.loads(manifest.read_bytes())
    profile = read_profile(LocalObjects.at(written.profile.parent), "world", "v1")
    del document["feature_profile"]["feature_set_recipe"]
    for digest, outcome in ((profile.old_set_digest, "ALREADY_PUBLISHED"), (profile.set_digest, None)):
        document["pins"]["feature_set_digest"] = digest
        manifest.write_bytes(canon(document))
        answer = build(written, intent=asked(2 if outcome else 3)).answer
        assert (answer and answer["outcome"]) == outcome
