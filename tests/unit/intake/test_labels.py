"""Rows of labels become assertions of the closed vocabulary; what is none is rejected, what repeats is one assertion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.intake import labels as module
from ofs_spark.intake import rows as r
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.labels.extract import read_extract
from tests.unit.intake.worlds import LABELS, Imported, run_import, write_lines, write_text

AT, SEEN = "2026-02-10T10:00:00Z", "2026-02-12T10:00:00Z"
BINARY = {"1": "FRAUD_CONFIRMED", "0": "LEGIT_CONFIRMED"}


def import_labels(folder: Path, body: str, **stated: Any) -> Imported:
    folder.mkdir(exist_ok=True)
    events = write_text(folder / "events.csv", f"id,at\na,{AT}\nb,{AT}\n")
    labels = write_text(folder / "labels.csv", "id,verdict,seen,true_from\n" + body)
    return run_import(folder / "world", events, labels=labels, **{**LABELS, **stated})


def test_labels_are_mapped_and_everything_else_is_rejected(tmp_path: Path) -> None:
    body = f"a,1,{SEEN},\nb,0,{AT},\nb,2,{SEEN},\nb,,{SEEN},\nb,FRAUD_CONFIRMED,{SEEN},\n,1,{SEEN},\nb,1,2026-02-12,\n"
    made = import_labels(tmp_path, body, **{"label-map": BINARY})
    assert [(one["event_id"], one["label_value"]) for one in made.assertions()] == [
        ("a", "FRAUD_CONFIRMED"),
        ("b", "LEGIT_CONFIRMED"),
    ]
    assert made.rejected == [
        (4, "verdict", r.UNMAPPED),
        (5, "verdict", r.MISSING),
        (6, "verdict", r.UNMAPPED),
        (7, "id", r.MISSING),
        (8, "seen", r.NO_TIME),
    ]
    assert (
        made.intent["label_basis"]["label_asof_utc"]
        == made.extract["committed_up_to_utc"]
        == "2026-02-12T10:00:00.000000Z"
    )
    assert made.intent["join_scope"]["label_types"] == ["fraud_disposition"]
    assert (made.extract["origin"], made.extract["row_count"]) == ("ofs_import", 2)


def test_without_a_map_the_words_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    made = import_labels(tmp_path, f"a,FRAUD_SUSPECTED,{SEEN},\nb,fraud,{SEEN},\n")
    assert [one["label_value"] for one in made.assertions()] == ["FRAUD_SUSPECTED"]
    assert made.rejected == [(3, "verdict", r.NO_VALUE)]


def test_labels_of_which_none_is_taken_are_told_with_what_would_take_them(tmp_path: Path) -> None:
    """Forgetting --label-map is no quiet way to a dataset without labels."""
    made = import_labels(tmp_path / "1", f"a,1,{SEEN},\nb,0,{SEEN},\n")
    assert made.answer["labels"] == 0
    first, second = made.answer["notes"][-2:]
    assert first == (
        f"no label of {tmp_path / '1' / 'labels.csv'} is taken: all of it is rejected, 2 rows: "
        f"line 2: verdict {r.NO_VALUE}; line 3: verdict {r.NO_VALUE}"
    )
    assert second == "--label-map says what values of verdict mean, such as 1=FRAUD_CONFIRMED"
    some = import_labels(tmp_path / "2", f"a,FRAUD_CONFIRMED,{SEEN},\nb,0,{SEEN},\n").answer["notes"]
    assert some[-1] == second
    assert len(some) == 2
    assert import_labels(tmp_path / "3", "").answer["notes"] == some[:1]


def test_effective_is_observed_unless_a_column_says_so(tmp_path: Path) -> None:
    body = f"a,FRAUD_CONFIRMED,{SEEN},{AT}\n"
    first = import_labels(tmp_path / "1", body).assertions()[0]
    second = import_labels(tmp_path / "2", body, **{"label-effective": "true_from"}).assertions()[0]
    assert first["effective_time"] == first["observed_time"] == second["observed_time"] == first["committed_at_utc"]
    assert second["effective_time"].isoformat() == "2026-02-10T10:00:00+00:00"


def test_a_row_twice_is_one_assertion_and_a_tie_is_two(tmp_path: Path) -> None:
    made = import_labels(tmp_path, f"a,FRAUD_CONFIRMED,{SEEN},\na,FRAUD_CONFIRMED,{SEEN},\na,LEGIT_CONFIRMED,{SEEN},\n")
    rows = made.assertions()
    assert rows[0] == rows[1]
    assert rows[0]["label_assertion_id"] != rows[2]["label_assertion_id"]
    assert len(rows[0]["label_assertion_id"]) == 32


def test_labels_of_unknown_events_are_kept_and_counted(tmp_path: Path) -> None:
    made = import_labels(tmp_path, f"a,FRAUD_CONFIRMED,{SEEN},\nz,FRAUD_CONFIRMED,{SEEN},\ny,FRAUD_CONFIRMED,{SEEN},\n")
    assert (made.answer["labels"], made.answer["labels_of_unknown_events"]) == (3, 2)
    assert "2 labels are about events that are not in" in made.answer["notes"][-1]
    one = import_labels(tmp_path / "one", f"z,FRAUD_CONFIRMED,{SEEN},\n").answer["notes"][-1]
    assert one.startswith("1 label is about events that are not in")


@pytest.mark.parametrize(
    ("values", "seen"),
    [([True, False], {"true", "false"}), ([1, 0], {"1", "0"}), ([1.0, 0.0], {"1.0", "0.0"})],
)
def test_values_that_are_no_text_are_seen_as_their_json(values: list[Any], seen: set[str], tmp_path: Path) -> None:
    rows = [{"id": one, "verdict": value, "seen": SEEN} for one, value in zip("ab", values, strict=True)]
    events = write_text(tmp_path / "events.csv", f"id,at\na,{AT}\nb,{AT}\n")
    first, second = sorted(seen, reverse=True)
    meant = {"label-map": {first: "FRAUD_CONFIRMED", second: "LEGIT_CONFIRMED"}}
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "l.parquet")
    for number, path in enumerate((write_lines(tmp_path / "l.jsonl", rows), tmp_path / "l.parquet")):
        made = run_import(tmp_path / str(number), events, labels=path, **LABELS, **meant)
        assert [one["label_value"] for one in made.assertions()] == ["FRAUD_CONFIRMED", "LEGIT_CONFIRMED"]


def test_files_of_an_extract_are_cut_and_kept_by_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_ROWS", 2)
    monkeypatch.setattr(r, "MOST_ROWS", 2)
    made = import_labels(tmp_path, "".join(f"a,FRAUD_CONFIRMED,2026-02-1{day}T00:00:00Z,\n" for day in range(1, 6)))
    extract = read_extract(LocalObjects.at(made.root), made.answer["extract_ref"])
    assert [file.row_count for file in extract.files] == [2, 2, 1]
    assert extract.marker == extract.committed_up_to_utc == "2026-02-15T00:00:00.000000Z"


def test_without_labels_there_is_an_extract_without_a_row(tmp_path: Path) -> None:
    made = run_import(tmp_path / "world", write_text(tmp_path / "e.csv", f"id,at\na,{AT}\n"))
    assert made.assertions() == []
    assert json.dumps(made.extract["row_count"]) == "0"
