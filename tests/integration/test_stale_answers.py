"""An answer that comes from an earlier run says what has changed since: profile, index, extract, policy, each by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark import pipeline
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.publish import commit
from tests.acceptance.test_closure import TRAINING
from tests.integration.test_retry_publish import Silent
from tests.worlds.command import Result, run_command
from tests.worlds.running import build, policy_with
from tests.worlds.sabotage import remove, rewrite
from tests.worlds.writer import Layout, Written, write_world

PROFILE, INDEX, EXTRACT, POLICY = "the feature profile ", "the archive index ", "the label extract ", "the policy"


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM, and no waiting for a store that gives no answer."""
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
    monkeypatch.setattr(commit, "READ_BACK_PAUSES_S", (0.0,))
    monkeypatch.delenv("OFS_POLICY", raising=False)


def edit_profile(change: Callable[[dict[str, Any]], object]) -> Callable[[Written], None]:
    def edit(written: Written) -> None:
        top = yaml.safe_load(written.profile.read_text())
        change(top)
        written.profile.write_text(yaml.safe_dump(top))

    return edit


def add_group(top: dict[str, Any]) -> None:
    top["feature_groups"].append({**top["feature_groups"][0], "name": "another"})


def grow(index: dict[str, Any]) -> None:
    index["segments"].append({**index["segments"][0], "topic": "another", "path": "elsewhere.parquet"})


def replace_segment(index: dict[str, Any]) -> None:
    index["segments"][0]["sha256"] = "0" * 64


def take_later_extract(extract: dict[str, Any]) -> None:
    extract["marker"] = "commit-9"


CHANGES: dict[str, tuple[Callable[[Written], object], str, tuple[str, ...]]] = {
    "feature edited": (
        edit_profile(lambda top: top["feature_groups"][0]["features"][0].update(name="other")),
        PROFILE,
        ("world.yaml", "had the digest"),
    ),
    "another set edited": (edit_profile(add_group), PROFILE, ("world.yaml", "which this dataset is of, is the same")),
    "revision edited": (edit_profile(lambda top: top.update(revision="r9")), PROFILE, ("is the same",)),
    "profile broken": (
        lambda w: w.profile.write_text("a: [1"),
        PROFILE,
        ("no longer resolves", "FEATURE_PROFILE_UNRESOLVED", "line 1"),
    ),
    "profile gone": (lambda w: remove(w.profile), PROFILE, ("FEATURE_PROFILE_UNRESOLVED", "no feature profile")),
    "index grown": (lambda w: rewrite(w.index, grow, True), "", ()),
    "index replaced": (lambda w: rewrite(w.index, replace_segment, True), INDEX, ("had the digest",)),
    "index cut": (lambda w: rewrite(w.index, lambda d: d["segments"].pop(), True), INDEX, ("had the digest",)),
    "index stale": (lambda w: rewrite(w.index, replace_segment, False), INDEX, ("ARCHIVE_INDEX_INVALID",)),
    "index gone": (lambda w: remove(w.index), INDEX, ("ARCHIVE_INDEX_MISSING",)),
    "extract replaced": (lambda w: rewrite(w.label_extract, take_later_extract, True), EXTRACT, ("had the digest",)),
    "extract edited": (lambda w: rewrite(w.label_extract, take_later_extract, False), EXTRACT, ("had the digest",)),
    "extract broken": (lambda w: w.label_extract.write_bytes(b"{"), EXTRACT, ("no label extract stands there",)),
    "extract gone": (lambda w: remove(w.label_extract), EXTRACT, ("no label extract stands there",)),
}
REFUSED = ("feature edited", "profile broken", "profile gone")
"""Changes of what the intent itself names: another request for the same dataset is refused for them."""


def ofs(written: Written, *arguments: str, options: tuple[str, ...] = ("--json", "--quiet")) -> Result:
    return run_command("--wiring", str(written.wiring), *options, *arguments)


def ask(written: Written, *arguments: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """The answer of a command that succeeds, valid under its contract."""
    told = ofs(written, *arguments, options=(*options, "--json", "--quiet"))
    answer: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    assert (told.exit_code, find_faults(answer, "build_answer")) == (0, []), answer
    return answer


def require_told(found: list[str], what: str, words: tuple[str, ...]) -> None:
    """One difference, of this part of the dataset's inputs, in these words; none where `what` is empty."""
    assert [text.startswith(what) for text in found] == [True] * bool(what), found
    assert all("changed since this dataset was published" in text for text in found)
    assert all(word in text for text in found for word in words), found


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return write_world(TRAINING, tmp_path / "world", Layout(rows_per_segment=10))


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_request_is_answered_with_what_changed(name: str, written: Written) -> None:
    change, what, words = CHANGES[name]
    first = build(written).published
    change(written)
    answer = ask(written, "build", str(written.intent))
    assert {**answer, **first} == answer
    require_told(answer.get("differences", []), what, words)
    assert ask(written, "build", str(written.intent)) == answer
    people = ofs(written, "build", str(written.intent), options=())
    shown = " ".join(people.stdout.split())
    assert all(text in shown for text in answer.get("differences", []))
    assert people.stdout.count("differences") == bool(what)


@pytest.mark.parametrize("name", CHANGES)
def test_another_request_for_the_dataset_is_answered_with_what_changed(name: str, written: Written) -> None:
    change, what, words = CHANGES[name]
    build(written)
    document = json.loads(written.intent.read_bytes())
    written.intent.write_text(json.dumps({**document, "request_id": "another.request.1"}))
    change(written)
    if name in REFUSED:
        told = json.loads(ofs(written, "build", str(written.intent)).stdout)
        assert told["code"] in ("MANIFEST_IMMUTABILITY_VIOLATION", "FEATURE_PROFILE_UNRESOLVED")
        return
    answer = ask(written, "build", str(written.intent))
    assert answer["outcome"] == "ALREADY_PUBLISHED"
    require_told(answer.get("differences", []), what, words)


@pytest.mark.parametrize("name", CHANGES)
def test_a_backfill_asked_again_is_answered_with_what_changed(name: str, written: Written) -> None:
    change, what, words = CHANGES[name]
    old = build(written).published
    more = ("--supersedes", old["manifest_ref"], "--reason", "LATE_LABELS", "--request-id", "backfill.1")
    first = ask(written, "backfill", str(written.intent), *more)
    change(written)
    answer = ask(written, "backfill", str(written.intent), *more)
    assert (answer["outcome"], answer["content_digest"]) == (first["outcome"], first["content_digest"])
    require_told(answer.get("differences", []), what, words)


@pytest.mark.parametrize("by_build", [False, True], ids=["retry", "build"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_was_staged_is_published_with_what_changed(name: str, by_build: bool, written: Written) -> None:
    change, what, words = CHANGES[name]
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        silent = replace(context, objects=Silent(str(written.root)))
        with pytest.raises(Refusal) as pending:
            pipeline.build_dataset(written.intent.read_bytes(), silent)
    change(written)
    run_key = pending.value.details["run_key"]
    answer = ask(written, *(("build", str(written.intent)) if by_build else ("retry-publish", run_key)))
    assert answer["outcome"] == "COMMITTED"
    require_told(answer.get("differences", []), what, words)
    assert ask(written, "build", str(written.intent)).get("differences", []) == answer.get("differences", [])


def test_a_policy_that_has_changed_names_its_files_and_revisions(written: Written, tmp_path: Path) -> None:
    first = build(written).published
    other = policy_with(tmp_path / "policy", {"layout": {"leaf_rows": 7}, "revision": {"policy_revision": "p-9"}})
    answer = ask(written, "build", str(written.intent), options=("--policy", str(other)))
    require_told(answer["differences"], POLICY, ("layout.yaml", "p-9"))
    assert answer["content_digest"] == first["content_digest"]
    launcher = policy_with(tmp_path / "same", {"launcher": {"attempts": 9}})
    again = ask(written, "build", str(written.intent), options=("--policy", str(launcher)))
    assert {**again, **first} == again
    assert "differences" not in again


def test_a_store_that_does_not_answer_is_said_and_refuses_nothing(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(written).published

    def fail(*_arguments: object) -> object:
        raise OSError("no answer")

    monkeypatch.setattr("ofs_spark.workflow.changes._read_digest", fail)
    answer = ask(written, "build", str(written.intent))
    assert {**answer, **first} == answer
    assert [text.split(" could not be looked at")[0] for text in answer["differences"]] == [
        f"{INDEX}{written.index.relative_to(written.root)}",
        f"{EXTRACT}{written.label_extract.relative_to(written.root)}",
    ]
