"""A request that is answered from an earlier run says which of its inputs are no longer what that run read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.contracts import find_faults
from ofs_spark.io.local_engine import LocalEngine
from tests.spec.tables.windows import world
from tests.worlds.command import Result, run_command
from tests.worlds.model import RUN
from tests.worlds.sabotage import remove, rewrite
from tests.worlds.writer import Layout, Written, write_world

EVENTS = 'event|time|card\ne0|10:00|"A"\ne1|10:01|"A"\ne2|10:02|"B"\ne3|10:03|"B"'


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM."""
    monkeypatch.setattr("ofs_spark.io.context._Spark.engine", lambda _self: LocalEngine())


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A world that was built."""
    made = write_world(world(EVENTS), tmp_path, Layout(rows_per_segment=2))
    assert ask(made)["outcome"] == "COMMITTED"
    return made


def ofs(written: Written, *options: str) -> Result:
    return run_command("--wiring", str(written.wiring), *options, "build", str(written.intent))


def ask(written: Written) -> dict[str, Any]:
    """What the same build answers now."""
    result = ofs(written, "--json", "--quiet")
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    contract = "build_answer" if result.exit_code == 0 else "refusal_answer"
    assert find_faults(answer, contract) == []
    return answer


def ask_anew(written: Written) -> dict[str, Any]:
    """What a build of the same dataset under another request id answers."""
    rewrite(written.intent, lambda document: document.update(request_id="another.request.0002"), False)
    return ask(written)


def edit(old: str, new: str) -> Callable[[Written], None]:
    def change(written: Written) -> None:
        text = written.profile.read_text()
        assert text.count(old) == 1
        written.profile.write_text(text.replace(old, new))

    return change


def grow(written: Written) -> None:
    """One more segment, behind the basis."""

    def add(index: dict[str, Any]) -> None:
        last = index["segments"][-1]
        path = last["path"].replace("0001", "0002")
        more = {**last, "first_offset": "4", "last_offset": "5", "previous_last_offset": "3", "path": path}
        index["segments"].append(more)

    rewrite(written.index, add, True)


def restate(written: Written) -> None:
    """The same rows in a segment that the index states otherwise."""
    rewrite(written.index, lambda index: index["segments"][0].update(max_ts_utc="2026-02-10T10:09:00.000000Z"), True)


def mark(written: Written) -> None:
    rewrite(written.label_extract, lambda extract: extract.update(marker="commit-000002"), True)


def rename(written: Written) -> None:
    """The wiring names another extract, which stands elsewhere."""
    other = written.label_extract.with_name("label_extract.later.json")
    other.write_bytes(written.label_extract.read_bytes())
    mark_other = json.loads(other.read_text()) | {"label_store_id": "later"}
    other.write_text(json.dumps(mark_other))
    rewrite(other, lambda _: None, True)
    written.wiring.write_text(written.wiring.read_text().replace("label_extract.json", "label_extract.later.json"))


CHANGES: Mapping[str, tuple[Callable[[Written], None], str]] = {
    "profile edited": (
        edit("aggregate: count", "aggregate: time_since_first"),
        "the feature profile has changed since",
    ),
    "values kept": (edit("  - g@v1\n", "  - g@v1\n  keep_keys: true\n"), "the feature profile has changed since"),
    "profile broken": (edit("aggregate: count", "aggregate: median"), "the feature profile no longer resolves"),
    "profile removed": (lambda w: remove(w.profile), "the feature profile no longer resolves"),
    "archive restated": (restate, "the archive's slice has changed since"),
    "index removed": (lambda w: remove(w.index), "the archive's slice no longer resolves: ARCHIVE_INDEX_MISSING"),
    "extract replaced": (mark, "the label extract has changed since"),
    "another extract": (rename, "the label extract has changed since"),
    "extract removed": (lambda w: remove(w.label_extract), "the label extract has changed since"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_same_request_says_what_has_changed(
    change: tuple[Callable[[Written], None], str], written: Written
) -> None:
    disturb, told = change
    disturb(written)
    answer = ask(written)
    assert answer["outcome"] == "COMMITTED"
    (found,) = answer["differences"]
    assert found.startswith(told)
    people = ofs(written, "--quiet")
    assert people.exit_code == 0
    assert told in " ".join(people.stdout.split())


@pytest.mark.parametrize("change", ["archive restated", "extract replaced", "extract removed"])
def test_another_request_for_the_dataset_says_it_of_what_it_does_not_name(change: str, written: Written) -> None:
    disturb, told = CHANGES[change]
    disturb(written)
    answer = ask_anew(written)
    assert answer["outcome"] == "ALREADY_PUBLISHED"
    assert [one.startswith(told) for one in answer["differences"]] == [True]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("profile edited", "MANIFEST_IMMUTABILITY_VIOLATION"),
        ("values kept", "MANIFEST_IMMUTABILITY_VIOLATION"),
        ("profile broken", "FEATURE_PROFILE_UNRESOLVED"),
    ],
)
def test_another_request_is_refused_for_what_it_names(change: str, code: str, written: Written) -> None:
    CHANGES[change][0](written)
    assert ask_anew(written)["code"] == code


def test_an_index_that_only_grew_is_no_difference(written: Written) -> None:
    grow(written)
    assert "differences" not in ask(written)
    assert "differences" not in ask_anew(written)


def test_several_changes_are_told_in_one_answer_and_no_longer_when_they_are_undone(written: Written) -> None:
    before = written.label_extract.read_bytes()
    mark(written)
    restate(written)
    assert len(ask(written)["differences"]) == 2
    assert len(ask_anew(written)["differences"]) == 2
    written.label_extract.write_bytes(before)
    assert [one.split(" has")[0] for one in ask(written)["differences"]] == ["the archive's slice"]


def test_a_sentence_names_the_document_and_both_digests(written: Written) -> None:
    pinned = json.loads(written.label_extract.read_text())["digest"]
    mark(written)
    found = json.loads(written.label_extract.read_text())["digest"]
    (told,) = ask(written)["differences"]
    assert told == (
        "the label extract has changed since this dataset was published: "
        f"{RUN}/label_store/extract/label_extract.json has {found} now, and the dataset pins {pinned}"
    )
