"""A stranger's two files, two commands: an import that builds as it is, verifies, and is the same every time."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from ofs_spark import pipeline
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.workflow.context import RunContext
from tests.unit.intake.worlds import hash_files
from tests.worlds.command import run_command

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 5_000
LABELLED = (
    *("--label-event", "tx", "--label-type", "fraud_disposition", "--label-value", "fraud", "--label-observed", "seen"),
    *("--label-map", "1=FRAUD_CONFIRMED", "0=LEGIT_CONFIRMED"),
)
Table = list[dict[str, Any]]


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def make_rows(count: int = COUNT) -> Table:
    """Payments of sixty days, a few of them delivered late, in order of arrival."""
    chance, rows = Random(7), []
    for number in range(count):
        at = BEGIN + timedelta(days=60) * (number / count)
        late = timedelta(hours=chance.randrange(1, 30)) if chance.random() < 0.03 else timedelta(seconds=2)
        rows.append(
            {
                "tx": f"tx-{number:05d}",
                "at": stamp(at),
                "arrived": stamp(at + late),
                "customer": f"c{chance.randrange(1 + count // 40)}",
                "terminal": f"t{chance.randrange(50)}",
                "amount": f"{chance.randrange(100, 90_000) / 100:.2f}",
                "note": chance.choice(["", "plain", 'says "hi", twice', "two\nlines", "é"]),
            }
        )
    return rows


def write_csv(path: Path, rows: Table) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_files(folder: Path, rows: Table) -> tuple[str, ...]:
    """The options that name both files."""
    events = write_csv(folder / "events.csv", rows)
    verdicts = [
        {
            "tx": row["tx"],
            "fraud": int(number % 50 == 0),
            "seen": stamp(datetime.fromisoformat(row["at"]) + timedelta(days=5)),
        }
        for number, row in enumerate(rows)
    ]
    labels = write_csv(folder / "labels.csv", verdicts)
    return (
        "--events",
        str(events),
        "--id",
        "tx",
        "--time",
        "at",
        "--type-is",
        "payment",
        "--labels",
        str(labels),
        *LABELLED,
    )


def ofs_import(folder: Path, *options: str) -> dict[str, Any]:
    done = run_command("--json", "--quiet", "import", str(folder), *options)
    assert done.exit_code == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def build(
    answer: dict[str, Any],
    engine: Callable[[], Engine] = EmbeddedEngine,
    change: Callable[[RunContext], RunContext] = lambda c: c,
) -> dict[str, Any]:
    """The build of an imported world, verified."""
    with open_context(Path(answer["wiring"]), None, lambda _room, _doing: None, engine) as context:
        built = pipeline.build_dataset(Path(answer["intent"]).read_bytes(), change(context))
        assert pipeline.verify_dataset(built["manifest_ref"], context)["verified"]
    return built


def read_rows(root: Path, built: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The dataset's rows by event."""
    files = sorted((root / built["table_ref"]).glob("*.parquet"))
    return {row["event_id"]: row for file in files for row in pq.read_table(file).to_pylist()}


def find_counts(
    rows: Table, by: str, days: int, known: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> dict[str, int]:
    """By event: how many of its own key are in its window and known, by the plainest reading of the law."""
    found = {}
    for row in rows:
        end = datetime.fromisoformat(row["at"])
        inside = [
            one
            for one in rows
            if one[by] == row[by]
            and end - timedelta(days=days) < datetime.fromisoformat(one["at"]) <= end
            and known(one, row)
        ]
        found[row["tx"]] = len(inside)
    return found


def test_five_thousand_payments_become_a_verified_dataset(tmp_path: Path) -> None:
    rows = make_rows()
    options = (*write_files(tmp_path, rows), "--key", "customer", "terminal")
    answer = ofs_import(tmp_path / "world", *options)
    assert (answer["events"], answer["labels"], answer["rejected"], answer["knowledge"]) == (
        COUNT,
        COUNT,
        0,
        "event_time",
    )
    again = ofs_import(tmp_path / "again", *options)
    assert hash_files(tmp_path / "world") == hash_files(tmp_path / "again")
    built = build(answer)
    assert (built["outcome"], built["rows"]) == ("COMMITTED", COUNT)
    assert build(again)["content_digest"] == built["content_digest"]
    found = read_rows(tmp_path / "world", built)
    counts = find_counts(rows[:600], "customer", 7, lambda _one, _row: True)
    assert {name: found[name]["customer__count_7d"] for name in counts} == counts
    assert {row["label__fraud_disposition"] for row in found.values()} == {"FRAUD_CONFIRMED", "LEGIT_CONFIRMED"}
    assert all(row["label__fraud_disposition__status"] == "RESOLVED" for row in found.values())


def test_with_arrivals_features_see_what_had_been_delivered(tmp_path: Path) -> None:
    """The file stands in event time; offsets, and so what a feature may know, follow arrivals."""
    rows = make_rows(600)
    options = (*write_files(tmp_path, rows), "--key", "customer", "--arrival", "arrived", "--partition-by", "customer")
    answer = ofs_import(tmp_path / "world", *options)
    assert (answer["knowledge"], answer["notes"]) == ("as_observed", [])
    found = read_rows(tmp_path / "world", build(answer))
    order = {row["tx"]: (row["arrived"], number) for number, row in enumerate(rows)}
    counts = find_counts(rows, "customer", 7, lambda one, row: order[one["tx"]] <= order[row["tx"]])
    assert {name: row["customer__count_7d"] for name, row in found.items()} == counts
    assert counts != find_counts(rows, "customer", 7, lambda _one, _row: True)


def test_what_is_delivered_twice_is_for_the_build_to_judge(tmp_path: Path) -> None:
    rows = make_rows(50)
    rows += [rows[3], {**rows[4], "amount": "0.01"}]
    built = build(ofs_import(tmp_path / "world", *write_files(tmp_path, rows), "--key", "customer"))
    manifest = json.loads((tmp_path / "world" / built["manifest_ref"]).read_bytes())
    counts = manifest["replay"]["counts"]
    assert (built["rows"], counts["redeliveries"], counts["conflicts"]) == (50, 1, 1)


def test_offsets_that_the_source_had_are_those_of_the_dataset(tmp_path: Path) -> None:
    """In another order than the file's, with holes, one offset twice, and a row that is rejected."""
    rows = [
        {**row, "part": number % 2, "offset": 10 * (number // 2), "at": "never" if number == 8 else row["at"]}
        for number, row in enumerate(make_rows(40))
    ]
    options = ("--key", "customer", "--arrival", "arrived", "--offset", "offset", "--partition", "part")
    events = write_csv(tmp_path / "events.csv", [*reversed(rows), rows[5]])
    named = ("--events", str(events), "--id", "tx", "--time", "at", "--type-is", "payment")
    answer = ofs_import(tmp_path / "own", *named, *options)
    assert answer["rejected"] == 1
    intent = json.loads(Path(answer["intent"]).read_bytes())
    assert [
        (one["offset_kind"], one["partition"], one["start_offset"], one["end_offset"]) for one in intent["replay_basis"]
    ] == [
        ("kafka_offset", 0, "0", "190"),
        ("kafka_offset", 1, "0", "190"),
    ]
    built = build(answer)
    counts = json.loads((tmp_path / "own" / built["manifest_ref"]).read_bytes())["replay"]["counts"]
    assert (built["rows"], counts["position_duplicates"]) == (39, 1)
    for row in read_rows(tmp_path / "own", built).values():
        number = int(row["event_id"].removeprefix("tx-"))
        assert (row["_partition"], row["_offset"]) == (number % 2, str(10 * (number // 2)))


def test_events_alone_make_a_dataset_without_labels(tmp_path: Path) -> None:
    """Without a key the one group is each event by itself."""
    events = write_csv(tmp_path / "events.csv", make_rows(40))
    answer = ofs_import(
        tmp_path / "world", "--events", str(events), "--id", "tx", "--time", "at", "--type-is", "payment"
    )
    found = read_rows(tmp_path / "world", build(answer))
    assert {row["event__count_7d"] for row in found.values()} == {1}
    assert {name: row["event__amount_sum_7d"] for name, row in found.items()} == {
        row["tx"]: float(row["amount"]) for row in make_rows(40)
    }


def test_a_prod_wiring_refuses_what_was_imported(tmp_path: Path) -> None:
    answer = ofs_import(tmp_path / "world", *write_files(tmp_path, make_rows(20)), "--key", "customer")

    def promote(context: RunContext) -> RunContext:
        """The same places under a prod wiring, which has no folders: said of the kind alone."""
        return replace(context, wiring=replace(context.wiring, kind="prod"))

    with pytest.raises(Refusal) as caught:
        build(answer, change=promote)
    assert caught.value.code == "ORIGIN_NOT_ADMISSIBLE"
    refs = {fault["ref"] for fault in caught.value.details["faults"]}
    assert {answer["index_ref"], answer["extract_ref"]} < refs
    assert len(refs) == 3


def test_what_people_see_names_the_rejected_and_the_next_command(tmp_path: Path) -> None:
    rows = make_rows(20)
    options = (*write_files(tmp_path, rows), "--key", "customer")
    rows[4]["at"] = "yesterday"
    write_csv(tmp_path / "events.csv", rows)
    done = run_command("--quiet", "import", str(tmp_path / "world"), *options)
    assert done.exit_code == 0
    assert f"1 row, each in {tmp_path}/world/rejected.jsonl" in done.stdout
    assert f"next: ofs --wiring {tmp_path}/world/wiring.yaml build {tmp_path}/world/intent.json" in done.stdout
    assert "arrival times are unknown" in done.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--label-map", "FRAUD"), "SEEN=VALUE is required"),
        (("--label-map", "1=FRAUD_CONFIRMED", "1=LEGIT_CONFIRMED"), "1 is FRAUD_CONFIRMED and LEGIT_CONFIRMED"),
        ((), "--events is required"),
        (("--events", "/nowhere.csv", "--id", "a", "--time", "b", "--type-is", "c"), "No such file"),
    ],
)
def test_wrong_use_ends_with_two(options: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = run_command("--json", "import", str(tmp_path / "world"), *options)
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["reason"]) == (2, "USAGE")
    assert says in answer["message"]
    assert not (tmp_path / "world").exists()


def test_an_import_builds_on_spark(tmp_path: Path, spark: SparkSession) -> None:
    answer = ofs_import(tmp_path / "world", *write_files(tmp_path, make_rows()), "--key", "customer", "terminal")
    twin = ofs_import(tmp_path / "twin", *write_files(tmp_path, make_rows()), "--key", "customer", "terminal")
    built = build(answer, lambda: SparkEngine(spark))
    assert (built["outcome"], built["rows"]) == ("COMMITTED", COUNT)
    assert build(twin)["content_digest"] == built["content_digest"]
