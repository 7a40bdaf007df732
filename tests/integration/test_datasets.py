"""`ofs datasets`, and datasets and runs named by the beginning of their ids, in every store and ledger."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.wiring import read_wiring
from ofs_spark.intent.run import Run, State, Transition
from ofs_spark.io.adapters import open_objects
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.ledger import statements
from ofs_spark.io.ledger.rows import encode_event, encode_run
from ofs_spark.workflow.supersession import name_target
from tests.servers.postgres import Postgres
from tests.worlds.command import Result, run_command
from tests.worlds.published import MANIFEST, RUN_ID, Shelf, make_shelf

FIRST, SECOND, GONE, SPOILED, RETIRED = (f"dm_{mark * 32}" for mark in "12345")
NEWEST = "dm_" + "1" * 31 + "6"
"""Begins as FIRST does."""


def ask(shelf: Shelf, *arguments: str) -> Result:
    return run_command("--wiring", str(shelf.wiring), *arguments)


def answer(shelf: Shelf, *arguments: str) -> dict[str, Any]:
    result = ask(shelf, *arguments, "--json", "--quiet")
    assert result.exit_code == 0, result.stdout
    return dict(json.loads(result.stdout))


@pytest.fixture(params=["folder and file", "bucket and server"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "folder and file":
        return make_shelf(tmp_path / "a plane")
    make_bucket: Callable[[str], str] = request.getfixturevalue("make_bucket")
    endpoint: str = request.getfixturevalue("s3_address")
    server: Postgres = request.getfixturevalue("postgres")
    dsn = server.dsn(request.getfixturevalue("postgres_schema"))
    return make_shelf(tmp_path / "a plane", f"{make_bucket(endpoint)}/objects", dsn, endpoint)


def fill(shelf: Shelf) -> None:
    """Datasets of every kind, and a request that was answered with one of them."""
    for number, dataset in enumerate((FIRST, SECOND, GONE, SPOILED, RETIRED), start=1):
        shelf.publish(number, dataset)
    shelf.objects.replace(f"{RUN_ID}/ofs/manifests/{SPOILED}.json", b"{}")
    shelf.publish(6, NEWEST, status="NON_TRAINING", feature_definition_set={**MANIFEST["feature_definition_set"]})
    shelf.end_run(7, {"outcome": "ALREADY_PUBLISHED", "dataset_manifest_id": FIRST, "manifest_ref": "x"})
    shelf.supersede(FIRST, NEWEST)
    shelf.supersede(SECOND, GONE)  # reserved for a dataset that is not there: nothing took its place
    shelf.retire(RETIRED)


def test_datasets_are_told_as_they_stand(shelf: Shelf) -> None:
    fill(shelf)
    ref = f"{RUN_ID}/ofs/manifests/{GONE}.json"
    wiring = read_wiring(shelf.wiring)
    open_objects(wiring.objects_root, wiring.store).remove(ref)
    told = answer(shelf, "datasets")
    assert find_faults(told, "datasets_answer") == []
    assert told["where"]["chosen_by"] == "flag"
    assert (told["total"], len(told["datasets"])) == (6, 6)
    stated = {one["dataset_manifest_id"]: one for one in told["datasets"]}
    assert list(stated) == [NEWEST, RETIRED, SPOILED, GONE, SECOND, FIRST]
    statuses = {dataset: (one["status"], one["rows"], one["superseded_by"]) for dataset, one in stated.items()}
    assert statuses == {
        NEWEST: ("NON_TRAINING", 6, None),
        RETIRED: ("RETIRED", 5, None),
        SPOILED: ("INVALID", None, None),
        GONE: ("ABSENT", None, None),
        SECOND: ("TRAINING_READY", 2, None),
        FIRST: ("TRAINING_READY", 1, NEWEST),
    }
    first = stated[FIRST]
    assert (first["feature_set"], first["label_asof_utc"]) == ("card_fraud@v3", MANIFEST["labels"]["label_asof_utc"])
    ended = shelf.control.ledger.list_dated()[0].ended
    assert (ended is not None, first["committed_at_utc"]) == (True, format_instant(ended or 0))
    assert first["table_path"] == shelf.objects.locate(MANIFEST["materialization"]["path"].rstrip("/"))
    assert first["manifest_path"] == shelf.objects.locate(first["manifest_ref"])
    page = ask(shelf, "datasets").stdout
    assert all(text in page for text in (*stated, first["table_path"], "SUPERSEDED", "ABSENT"))


def test_the_beginning_of_an_id_names_a_dataset(shelf: Shelf) -> None:
    fill(shelf)
    assert answer(shelf, "show", SECOND[:9])["dataset_manifest_id"] == SECOND
    assert answer(shelf, "show", NEWEST)["dataset_manifest_id"] == NEWEST
    page = ask(shelf, "show", "dm_" + "1" * 31 + "6", "--quiet").stdout
    assert f"manifest  {shelf.objects.locate(f'{RUN_ID}/ofs/manifests/{NEWEST}.json')}" in page
    several = ask(shelf, "show", "dm_111111", "--json", "--quiet")
    told = json.loads(several.stdout)
    assert (several.exit_code, told["reason"]) == (2, "USAGE")
    assert told["message"] == f"2 datasets begin with dm_111111: {FIRST}, {NEWEST}"
    assert find_faults(told, "failure_answer") == []
    for unknown in ("dm_99999999", "dm_11111", "11111111", "dm_zzzzzz"):
        nothing = ask(shelf, "show", unknown, "--json", "--quiet")
        assert (nothing.exit_code, json.loads(nothing.stdout)["code"]) == (60, "RUN_NOT_FOUND")
        assert json.loads(nothing.stdout)["next"].endswith(" datasets")
    short = json.loads(ask(shelf, "show", "dm_11111", "--json", "--quiet").stdout)["message"]
    assert short == "dm_11111 is too short to be the beginning of an id: dm_ and six digits or more are"
    assert "has six digits or more" in json.loads(ask(shelf, "status", "11111", "--json", "--quiet").stdout)["message"]
    verified = ask(shelf, "verify", SECOND[:9], "--json", "--quiet")  # nothing of it verifies, but it was found
    assert verified.exit_code == 60
    assert json.loads(verified.stdout).get("code") != "RUN_NOT_FOUND"


def test_no_listing_of_the_store_decides_what_there_is(shelf: Shelf) -> None:
    fill(shelf)
    records = ask(shelf, "datasets", "--log-level", "debug").stderr.splitlines()
    calls = {record.split()[3] for record in records if " DEBUG " in record}
    assert {"ledger.list", "manifest.read", "link.read"} <= calls
    assert {call for call in calls if call.endswith(".list")} == {"ledger.list"}


def test_a_backfill_takes_the_beginning_of_what_it_supersedes(shelf: Shelf) -> None:
    fill(shelf)
    with open_context(shelf.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        assert name_target(SECOND[:9], context) == (SECOND, RUN_ID)
        assert name_target(SECOND, context) == (SECOND, None)
        assert name_target("dm_99999999", context) == ("dm_99999999", None)
        with pytest.raises(WrongArgument, match=r"^2 datasets begin with dm_111111: "):
            name_target("dm_111111", context)


def test_status_names_datasets_and_times(shelf: Shelf) -> None:
    shelf.publish(1, FIRST)
    (run,) = answer(shelf, "status")["runs"]
    assert (run["dataset_manifest_id"], run["ended_at_utc"] is None) == (FIRST, False)
    row = ask(shelf, "status").stdout.splitlines()[1].split()
    assert (FIRST in row, f"{run['started_at_utc'][:16]}Z" in row) == (True, True)
    assert answer(shelf, "status", run["run_key"][:12])["dataset_manifest_id"] == FIRST


def test_a_ledger_without_datasets_says_so_and_makes_nothing(shelf: Shelf) -> None:
    assert answer(shelf, "datasets")["datasets"] == []
    assert ask(shelf, "datasets", "--quiet").stdout == "the ledger knows no dataset\n"
    assert not (shelf.wiring.parent / "ledger.sqlite").exists()


def fill_ledger(path: Path, runs: int, datasets: list[str]) -> None:
    """Runs straight into the file: the first ones published a dataset each, every second of the others failed."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for number in range(runs):
            dataset = datasets[number % len(datasets)] if number < len(datasets) or number % 2 else ""
            named = {"dataset_manifest_id": dataset, "manifest_ref": f"{RUN_ID}/ofs/manifests/{dataset}.json"}
            outcome = {"outcome": "COMMITTED", **named, "padding": "x" * 900} if dataset else {"code": "X" * 900}
            state = State.DONE if dataset else State.FAILED
            key = f"{number + 1_000_000:032x}"
            run = Run(key, f"request.{number}", "ab" * 32, state, 1, 0, 1, "h:1", None, False, outcome, RUN_ID)
            connection.execute(statements.INSERT_RUN, encode_run(run, number))
            event = Transition(key, number, 1, State.RUNNING, state, "COMMITTED", {})
            connection.execute(statements.INSERT_EVENT, encode_event(event))


def test_a_thousand_datasets_beside_thousands_of_runs_are_read_from_the_index_alone(tmp_path: Path) -> None:
    shelf = make_shelf(tmp_path)
    datasets = [f"dm_{number:032x}" for number in range(1_000)]
    shelf.publish(1, datasets[0])
    for dataset in datasets:
        body = json.dumps({**MANIFEST, "dataset_manifest_id": dataset}).encode()
        shelf.objects.put_if_absent(f"{RUN_ID}/ofs/manifests/{dataset}.json", body)
    fill_ledger(tmp_path / "ledger.sqlite", 10_000, datasets)
    for options in ((), ("--all",)):
        told = answer(shelf, "datasets", *options)
        assert (told["total"], len(told["datasets"])) == (1_000, 1_000 if options else 50)
    asked = "EXPLAIN QUERY PLAN " + statements.LIST_DATASETS.format(runs="ofs_run")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        steps = [row[3] for row in connection.execute(asked, {"start": "dm_", "stop": "dm_g"})]
    assert [step for step in steps if "COVERING INDEX ofs_run_of_dataset" in step], steps
