"""What Parquet footers show is told with the other pins, before an engine starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.columnar import footers
from ofs_spark.foundation.columnar.ports import Engine
from tests.spec.tables.windows import world
from tests.worlds.model import label
from tests.worlds.running import Outcome, build
from tests.worlds.sabotage import extract_part, flip_byte, remove, rewrite, truncate
from tests.worlds.writer import Layout, Written, write_world

FOUR = "event|time|card\ne0|10:00|1\ne1|10:01|1\ne2|10:02|2\ne3|10:03|2"
NOWHERE = {"feature_set_id": "nowhere", "feature_set_version": "v1"}
AFTER = "2026-02-20T00:00:00.000000Z"


def ask_no_engine() -> Engine:
    raise AssertionError("an engine was started")


def write(root: Path, **intent_changes: Any) -> Written:
    """A world of four segments and one label file."""
    made = replace(world(FOUR), labels=(label(1, "e0", "FRAUD_CONFIRMED", AFTER),))
    return write_world(made.with_intent(**intent_changes), root, Layout(rows_per_segment=1))


def reshape(path: Path, document: Path, files: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Writes a table anew, changed, and states the new bytes in the document that names it."""
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)
    body = path.read_bytes()

    def restate(content: dict[str, Any]) -> None:
        (entry,) = (one for one in content[files] if str(path).endswith(one["path"]))
        entry |= {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}

    rewrite(document, restate, redigest=True)


def as_numbers(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, pa.array([7] * table.num_rows))


def without(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([name])


def spoil(written: Written) -> None:
    """Two segments and the label file of another schema, one segment cut off."""
    reshape(written.segments[1], written.index, "segments", as_numbers("event_type"))
    reshape(written.segments[3], written.index, "segments", without("envelope"))
    reshape(extract_part(written), written.label_extract, "files", without("event_id"))
    truncate(written.segments[2])


def faults_of(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.refusal is not None, outcome.answer
    return list(outcome.refusal.details["faults"])


def test_footers_are_told_with_the_other_pins_in_the_order_of_rooms(tmp_path: Path) -> None:
    written = write(tmp_path, feature_definition_set=NOWHERE)
    spoil(written)
    told = faults_of(build(written, ask_no_engine))
    assert [fault["code"] for fault in told] == [
        "FEATURE_PROFILE_UNRESOLVED",
        "ARCHIVE_SEGMENT_CORRUPT",
        "ARCHIVE_SCHEMA_UNSUPPORTED",
        "ARCHIVE_SCHEMA_UNSUPPORTED",
        "LABEL_STORE_UNAVAILABLE",
    ]
    refs = [str(path.relative_to(written.root)) for path in (*written.segments, extract_part(written))]
    assert refs[2] in told[1]["message"]
    shown = [(one["file"], one.get("column", one.get("field")), one["found"], one["required"]) for one in told[2:]]
    text = "BYTE_ARRAY annotated as string, ENUM or JSON"
    assert shown == [
        (refs[1], "event_type", "INT64", text),
        (refs[3], "envelope", "missing", text),
        (refs[4], "event_id", "absent", text),
    ]


def test_damage_that_a_footer_shows_starts_no_engine_and_its_repair_is_enough(tmp_path: Path) -> None:
    written = write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    spoil(written)
    remove(written.segments[0])
    assert len(faults_of(build(written, ask_no_engine))) == 5
    for path, body in before.items():
        path.write_bytes(body)
    outcome = build(written)
    assert outcome.code is None, str(outcome.refusal)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda w: reshape(w.segments[1], w.index, "segments", without("envelope")), "ARCHIVE_SCHEMA_UNSUPPORTED"),
        (lambda w: reshape(w.segments[1], w.index, "segments", lambda t: t.slice(1)), "REPLAY_UNCHECKABLE"),
        (lambda w: truncate(w.segments[1]), "ARCHIVE_SEGMENT_CORRUPT"),
        (lambda w: remove(w.segments[1]), "ARCHIVE_SEGMENT_CORRUPT"),
        (
            lambda w: reshape(extract_part(w), w.label_extract, "files", without("event_id")),
            "LABEL_STORE_UNAVAILABLE",
        ),
        (lambda w: remove(extract_part(w)), "LABEL_STORE_UNAVAILABLE"),
    ],
    ids=["schema", "rows", "cut off", "missing", "label schema", "label file missing"],
)
def test_a_file_that_is_not_looked_at_is_refused_alike_by_who_reads_it(
    damage: Callable[[Written], None], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write(tmp_path)
    damage(written)
    first = build(written, ask_no_engine)
    monkeypatch.setattr(footers, "MOST_FOOTERS", 0)
    second = build(written)
    assert first.code == second.code == code
    assert first.refusal is not None
    assert second.refusal is not None
    assert first.refusal.message == second.refusal.message


def test_a_published_dataset_is_answered_without_a_look_at_its_files(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert build(written).code is None
    for path in (*written.segments, extract_part(written)):
        flip_byte(path)
        truncate(path)
    again = json.dumps({**json.loads(written.intent.read_bytes()), "request_id": "another-request-1"})
    outcome = build(written, ask_no_engine, intent=again.encode())
    assert outcome.published["outcome"] == "ALREADY_PUBLISHED"
