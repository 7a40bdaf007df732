"""Each invariant is broken on purpose on a copy of a whole root, and named; a whole root breaks none."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.intent.backfill import Correction
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.pipeline import backfill_dataset
from tests.acceptance.test_closure import TRAINING
from tests.invariants import INVARIANTS, History, find_violations, find_wrong_answer
from tests.worlds.model import canon
from tests.worlds.running import SMALL, build, policy_with
from tests.worlds.sabotage import flip_byte
from tests.worlds.spoil import (
    HOME,
    LEFTOVER,
    Copy,
    Damage,
    add_log_entry,
    append_version,
    copy_manifest,
    cut_manifest,
    edit,
    end_failed,
    find_other,
    flip_data,
    forge_rows,
    indent_manifest,
    name_other,
    remove,
    tell_failure,
)
from tests.worlds.writer import write_world


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Four requests: one commits, one meets its dataset, one is refused, one commits a dataset that may not train."""
    folder = tmp_path_factory.mktemp("whole")
    policy = policy_with(folder / "policy", SMALL)
    written = write_world(TRAINING, folder)
    asked = {**json.loads(written.intent.read_bytes())}
    first = build(written, policy=policy).published
    early = {"label_asof_utc": "2026-02-01T00:00:00Z", "resolution_rule": "ls.resolved.v0"}
    asks: list[dict[str, Any]] = [{}, {"label_basis": early}, {"label_basis": early, "non_training_allowed": True}]
    codes = []
    for number, changes in enumerate(asks):
        intent = canon({**asked, **changes, "request_id": f"another.request.{number}"})
        codes.append(build(written, intent=intent, policy=policy).code)
    assert codes == [None, "COVERAGE_POLICY_VIOLATION", None]
    return Copy(written.root, first["manifest_ref"])


@pytest.fixture
def copy(whole: Copy, tmp_path: Path) -> Copy:
    for part in ("objects", "ledger.sqlite"):
        source = whole.root.parent / part
        copy_one: Callable[[Path, Path], object] = shutil.copytree if source.is_dir() else shutil.copy
        copy_one(source, tmp_path / part)
    return Copy(tmp_path / "objects", whole.manifest_ref)


def find_names(copy: Copy, history: History | None = None, *, settled: bool = True) -> set[str]:
    """Names of the invariants that do not hold."""
    found = find_violations(copy.root, copy.ledger, history, settled=settled)
    assert all(INVARIANTS[text.split()[0]] in text for text in found)
    return {text.split()[0] for text in found}


def find_staged(copy: Copy) -> Path:
    """The first file of staged rows."""
    return sorted((copy.root / HOME / "staging").glob("*/*.arrow"))[0]


REFUSED_BY_GATE = '{"outcome":"REFUSED","code":"REPLAY_UNCHECKABLE","details":{"gate":"basis_agrees"}}'
STOPPED = '{"outcome":"FAILED","reason":"CANCELLED","exit_status":143}'
CONFLICT = '{"outcome":"REFUSED","code":"MANIFEST_IMMUTABILITY_VIOLATION"}'


MANIFEST, RECONCILIATION = "manifests/{id}.json", "../learning/reconciliation/ofs_reconciliation.json"
CASES: dict[str, tuple[Damage, set[str]]] = {
    "manifest cut off": (cut_manifest, {"I1", "I5"}),
    "manifest indented": (indent_manifest, {"I1", "I5"}),
    "manifest under another id": (copy_manifest, {"I1", "I2"}),
    "pins and plan id differ": (edit(MANIFEST, lambda d: d["pins"].update(label_rule="mine")), {"I1", "I5"}),
    "stranger among manifests": (
        lambda c: (c.root / HOME / "manifests/x.json").write_bytes(b"{}"),
        {"I1", "I2", "I3", "I4", "I7", "I11", "I14"},
    ),
    "second plan of a run": (edit("publication/{run}.json", lambda d: d.update(plan_id="0" * 64)), {"I2", "I5"}),
    "run of another request": (
        lambda c: c.run_sql("UPDATE ofs_run SET request_id = 'other' WHERE run_key = '{run}'"),
        {"I2", "I5"},
    ),
    "data flipped": (flip_data, {"I3", "I4"}),
    "data gone": (lambda c: c.data_file.unlink(), {"I3", "I4"}),
    "list gone": (lambda c: (c.root / c.manifest["materialization"]["files"]["ref"]).unlink(), {"I3", "I4"}),
    "evidence changed": (edit("replay_completeness/{run}.json", lambda d: d.update(status="INCOMPLETE")), {"I3"}),
    "evidence gone": (remove("label_resolution/{run}.json"), {"I3"}),
    "Delta appended": (append_version, {"I3"}),
    "Delta removed": (add_log_entry, {"I3"}),
    "row count": (edit(MANIFEST, lambda d: d["materialization"].update(row_count=29)), {"I3", "I5"}),
    "rows forged": (forge_rows, {"I4", "I5"}),
    "content digest": (edit(MANIFEST, lambda d: d["materialization"].update(content_digest="0" * 64)), {"I4", "I5"}),
    "bucket digest": (
        edit(MANIFEST, lambda d: d["materialization"]["bucket_digests"].__setitem__(0, "0" * 64)),
        {"I4", "I5"},
    ),
    "manifest of a DONE run gone": (remove(MANIFEST), {"I5"}),
    "outcome of a DONE run": (
        lambda c: c.run_sql(
            """UPDATE ofs_run SET outcome = json_set(outcome, '$.rows', 1) WHERE run_key = '{run}'""",
            """UPDATE ofs_run_event SET detail = json_set(detail, '$.rows', 1) WHERE run_key = '{run}'
               AND "after" = 'DONE'""",
        ),
        {"I5"},
    ),
    "fact under another id": (
        lambda c: (c.root / c.find_fact("DatasetPublished")).rename(c.root / HOME / "governance/x.json"),
        {"I5"},
    ),
    "fact before its manifest": (lambda c: c.edit(c.find_fact("DatasetPublished"), name_other), {"I5"}),
    "v0 view says otherwise": (edit("manifests/{id}.v0.json", lambda d: d.update(scenario_run_ids=["x"])), {"I5"}),
    "view of what may not train": (
        lambda c: shutil.copy(c.root / c.manifest_ref, find_other(c).with_suffix(".v0.json")),
        {"I1", "I5"},
    ),
    "token twice": (
        lambda c: c.run_sql("""UPDATE ofs_run_event SET token = 0 WHERE run_key = '{run}' AND "after" = 'RUNNING'"""),
        {"I8"},
    ),
    "ended by another claim": (
        lambda c: c.run_sql("""UPDATE ofs_run_event SET token = 7 WHERE run_key = '{run}' AND "after" = 'DONE'"""),
        {"I8", "I9"},
    ),
    "made under no claim": (
        edit(MANIFEST, lambda d: d["materialization"].update(attempt="attempt-9-000000000000")),
        {"I5", "I8"},
    ),
    "event gone": (
        lambda c: c.run_sql("""DELETE FROM ofs_run_event WHERE run_key = '{run}' AND "after" = 'QUEUED'"""),
        {"I9"},
    ),
    "event twice": (
        lambda c: c.run_sql(
            """INSERT INTO ofs_run_event (run_key, "at", token, "before", "after", reason, detail)
               SELECT run_key, "at", token, "before", "after", reason, detail FROM ofs_run_event
               WHERE run_key = '{run}' AND "after" = 'DONE'"""
        ),
        {"I9"},
    ),
    "changed without an event": (
        lambda c: c.run_sql("UPDATE ofs_run SET attempts = 2 WHERE run_key = '{run}'"),
        {"I9"},
    ),
    "ledger that is none": (lambda c: c.ledger.write_bytes(b"no database" * 400), {"I9"}),
    "refused by a gate": (end_failed(REFUSED_BY_GATE), {"I11", "I12", "I13"}),
    "gate that failed": (edit(MANIFEST, lambda d: d["gates"][0].update(passed=False)), {"I5", "I11"}),
    "failed after the commit": (end_failed(STOPPED), {"I12", "I13"}),
    "failure told after the commit": (tell_failure, {"I12"}),
    "receipt of a failure": (edit("run_receipts/{run}.json", lambda d: d.update(outcome="FAILED")), {"I12"}),
    "reconciliation without a run": (edit(RECONCILIATION, lambda d: d["runs"].pop()), {"I13"}),
    "reconciliation miscounts": (edit(RECONCILIATION, lambda d: d["counters"].update(datasets_built=9)), {"I13"}),
    "reconciliation of an earlier attempt": (edit(RECONCILIATION, lambda d: d["runs"][0].update(attempt=0)), {"I13"}),
    "no reconciliation": (remove(RECONCILIATION), {"I13"}),
    "pending without anything prepared": (
        lambda c: c.run_sql(
            "UPDATE ofs_run SET state = 'PUBLISH_PENDING' WHERE run_key = '{run}'",
            """UPDATE ofs_run_event SET "after" = 'PUBLISH_PENDING' WHERE run_key = '{run}' AND "after" = 'DONE'""",
        ),
        {"I13", "I15"},
    ),
    "staged rows changed": (lambda c: flip_byte(find_staged(c)), {"I16"}),
    "staged rows gone": (lambda c: find_staged(c).unlink(), {"I16"}),
    "unfinished write told": (
        edit("run_receipts/{run}.json", lambda d: d["refs"].update(x=f"{HOME}/files/{LEFTOVER}")),
        {"I14"},
    ),
    "unfinished write named": (
        edit(MANIFEST, lambda d: d["evidence"]["label_resolution"].update(ref=f"{HOME}/files/{LEFTOVER}")),
        {"I3", "I5", "I14"},
    ),
}


def test_a_whole_root_breaks_nothing(whole: Copy, tmp_path: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in whole.root.parent.rglob("*"))
    history = History()
    for _ in range(3):
        assert find_violations(whole.root, whole.ledger, history) == []
    assert sorted((path, path.stat().st_mtime_ns) for path in whole.root.parent.rglob("*")) == before
    assert len(history.frozen) == 11  # two manifests, their evidence, and the three documents of the refused attempt
    assert find_violations(tmp_path, tmp_path / "no ledger") == []


def test_what_has_not_changed_is_not_read_again(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History()
    assert find_names(copy, history) == set()
    monkeypatch.setattr("tests.invariants.stored.DeltaTable", None)
    assert find_names(copy, history) == set()
    flip_data(copy)
    assert find_names(copy, history) == {"I3", "I4"}


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_hold_is_named(name: str, copy: Copy) -> None:
    damage, expected = CASES[name]
    damage(copy)
    assert find_names(copy) == expected


@pytest.fixture(scope="module")
def superseded(whole: Copy, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The first dataset of the whole root, superseded by one of a request of its own."""
    folder = tmp_path_factory.mktemp("superseded")
    written = write_world(TRAINING, folder)
    build(written)
    asked = Correction(whole.manifest["dataset_manifest_id"], reason_code="LATE", request_id="backfill.0001")
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        answer = backfill_dataset(written.intent.read_bytes(), asked, context)
    return Copy(written.root, answer["manifest_ref"])


def edit_link(change: Callable[[dict[str, Any]], object]) -> Damage:
    """A change of the one link."""
    return lambda c: c.edit(str(next((c.root / HOME / "supersession").iterdir()).relative_to(c.root)), change)


def claim_too(c: Copy) -> None:
    """A third dataset says that it supersedes the first."""
    manifest = {**c.manifest, "dataset_manifest_id": "dm_" + "0" * 32}
    (c.root / HOME / "manifests" / f"dm_{'0' * 32}.json").write_bytes(canon(manifest))


LINKS: dict[str, tuple[Damage, set[str]]] = {
    "no link": (lambda c: shutil.rmtree(c.root / HOME / "supersession"), {"I5", "I17"}),
    "link to another": (edit_link(lambda d: d.update(successor="dm_" + "0" * 32)), {"I5", "I17"}),
    "link still reserved": (edit_link(lambda d: d.update(state="RESERVED")), {"I5"}),
    "link of another run": (edit_link(lambda d: d.update(run_key="0" * 32)), {"I17"}),
    "link from another": (edit_link(lambda d: d.update(superseded="dm_" + "0" * 32)), {"I17"}),
    "link to other bytes": (edit_link(lambda d: d["manifest"].update(sha256="0" * 64)), {"I5", "I17"}),
    "link that is none": (
        lambda c: next((c.root / HOME / "supersession").iterdir()).write_bytes(b"["),
        {"I5", "I17"},
    ),
    "two successors": (claim_too, {"I1", "I2", "I17"}),
    "untold": (lambda c: (c.root / c.find_fact("BackfillCompleted")).unlink(), {"I5"}),
    "lifted intent gone": (remove("backfill_intent/{run}.json"), {"I3"}),
}


@pytest.mark.parametrize("name", LINKS)
def test_what_does_not_hold_of_a_chain_is_named(name: str, superseded: Copy, tmp_path: Path) -> None:
    shutil.copytree(superseded.root.parent, tmp_path, dirs_exist_ok=True)
    copy = Copy(tmp_path / "objects", superseded.manifest_ref)
    assert find_names(copy) == set()
    damage, expected = LINKS[name]
    damage(copy)
    assert find_names(copy) == expected


MISSING = ["publication/{run}.json", "index/by_plan/{plan}.json", "manifests/{id}.v0.json"]


@pytest.mark.parametrize("pattern", MISSING)
def test_what_follows_from_a_commit_is_missed_once_every_driver_has_ended(pattern: str, copy: Copy) -> None:
    remove(pattern)(copy)
    assert find_names(copy, settled=False) == set()
    assert find_names(copy) == {"I5"}


def test_an_untold_dataset_is_missed_once_every_driver_has_ended(copy: Copy) -> None:
    (copy.root / copy.find_fact("DatasetPublished")).unlink()
    assert find_names(copy, settled=False) == set()
    assert find_names(copy) == {"I5"}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (remove("resolved_build_plan/{run}.json"), {"I3", "I7"}),
        (lambda c: c.data_file.unlink(), {"I3", "I4", "I7"}),
        (remove(MANIFEST), {"I5", "I6"}),
        (lambda c: next((c.root / HOME / "label_resolution").glob("*.attempt-1.json")).write_bytes(b"{}"), {"I6"}),
        (lambda c: next((c.root / HOME / "label_resolution").glob("*.attempt-1.json")).unlink(), {"I6"}),
        (edit("label_resolution/{run}.json", lambda d: d.update(ready=False)), {"I3", "I6"}),
        (lambda c: c.run_sql("UPDATE ofs_run SET intent_hash = '' WHERE run_key = '{run}'"), {"I8"}),
        (lambda c: c.run_sql("UPDATE ofs_run_event SET reason = 'x' WHERE run_key = '{run}' AND token = 0"), {"I9"}),
        (lambda c: c.run_sql(*(f"DELETE FROM {name}" for name in ("ofs_run", "ofs_run_event"))), {"I9", "I13"}),
    ],
    ids=range(9),
)
def test_a_change_is_named_by_who_looked_before(damage: Damage, expected: set[str], copy: Copy) -> None:
    history = History()
    assert find_names(copy, history) == set()
    damage(copy)
    assert find_names(copy, history) == expected


def test_an_earlier_failure_and_a_conflict_are_no_wrong_last_word(copy: Copy) -> None:
    """A run may fail, and commit when it is run again; what conflicts with a manifest may say so beside it."""
    end_failed(CONFLICT)(copy)
    assert find_names(copy, settled=False) == set()
    tell_failure(copy)
    copy.run_sql(
        """UPDATE ofs_run SET state = 'RUNNING', token = 2, attempts = 2, lease_until = 1 WHERE run_key = '{run}'""",
        """INSERT INTO ofs_run_event (run_key, "at", token, "before", "after", reason, detail)
           SELECT run_key, "at", 2, 'FAILED', 'RUNNING', reason, detail FROM ofs_run_event
           WHERE run_key = '{run}' AND "after" = 'RUNNING'""",
    )
    copy.edit(f"{HOME}/run_receipts/{copy.run_key}.json", lambda d: d.update(outcome="FAILED"))
    assert find_names(copy, settled=False) == set()


def test_leftovers_of_killed_writers_are_no_objects(copy: Copy) -> None:
    for folder in [path for path in (copy.root / HOME).rglob("*") if path.is_dir()]:
        (folder / LEFTOVER).write_bytes(b"{")
    assert find_names(copy) == set()


def test_the_answer_of_the_last_rerun_is_judged() -> None:
    for outcome in ("COMMITTED", "ALREADY_PUBLISHED"):
        assert find_wrong_answer({"outcome": outcome, "content_digest": "ab"}, "ab") == []
        assert find_wrong_answer({"outcome": outcome, "content_digest": "cd"}, "ab")[0].startswith("I10 ")
    assert find_wrong_answer({"outcome": "REFUSED", "code": "LEASE_LOST"}, "ab")[0].startswith("I10 ")


def test_every_invariant_is_broken_somewhere() -> None:
    broken = {name for _, names in (*CASES.values(), *LINKS.values()) for name in names}
    assert broken | {"I6", "I7", "I10", "I18"} == set(INVARIANTS)  # I18: test_judged.py


def test_the_checker_is_a_stranger() -> None:
    """It imports the standard library, Arrow and delta-rs, and nothing of the package, the oracle or the worlds."""
    for path in Path(__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)}
        modules |= {alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names}
        strangers = {name for name in modules if name.split(".")[0] in ("ofs_spark", "tests")}
        own = {name for name in strangers if name.startswith("tests.invariants.")}
        assert path.name.startswith("test_") or strangers == own, path
