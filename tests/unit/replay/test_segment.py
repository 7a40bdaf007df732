"""One segment at a time: what is refused by name, what is set aside, what is invalid and why."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.columnar.instants import read_micros
from ofs_spark.foundation.columnar.times import NO_INSTANT
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import ObjectMissing
from ofs_spark.replay import rows as r
from ofs_spark.replay.index import digest_slice, prove_index
from ofs_spark.replay.scan.segment import scan_task
from ofs_spark.replay.scan.spec import ScanRange, ScanSpec, ScanTask, SegmentFile
from ofs_spark.replay.segment_groups import plan_scan
from tests.unit.replay.room import NOTHING, Folder, basis_of, replayed, scanned
from tests.worlds.model import RUN, TOPIC, Row, World, digest, envelope, intent, profile, row, segment, slice_
from tests.worlds.writer import write_world

TS = "2026-02-10T10:00:00Z"
ROWS = tuple(row(i, f"e{i}", TS, {"amount": i}) for i in range(4))
GROUP = {"name": "g", "version": "v1", "key_type": "flow_id"}


def world(*rows: Row, **changes: Any) -> World:
    last = max(one.offset for one in rows)
    return World((segment(*rows),), intent(slice_(0, last), **changes), profile(GROUP))


def table() -> pa.Table:
    texts = {
        name: ["x"] for name in ("scenario_run_id", "manifest_fingerprint", "parameter_hash", "scenario_id", "seed")
    }
    body = envelope("e0", "card_payment", TS, {})
    origin = [{"topic": TOPIC, "partition": 0, "offset": "0", "offset_kind": "kafka_offset"}]
    return pa.table(
        {
            **texts, "platform_run_id": [RUN], "event_id": ["e0"], "event_type": ["card_payment"], "ts_utc": [TS],
            "archived_at_utc": [TS], "payload_hash": ["00"], "envelope": [body], "origin_offset": origin,
        }
    )  # fmt: skip


class Single:
    """An object store of one file, or none."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body

    def read(self, ref: str, _most: int | None = None, /) -> bytes:
        if self.body is None:
            raise ObjectMissing(ref)
        return self.body


def segment_file(body: bytes, record_count: int = 1) -> SegmentFile:
    return SegmentFile("seg.parquet", len(body), hashlib.sha256(body).hexdigest(), 0, 0, record_count)


def scan_bytes(
    body: bytes | None,
    stated: bytes | None = None,
    record_count: int = 1,
    int96_is_utc: bool = False,
    scenario_run_ids: tuple[str, ...] = (),
    **index: Any,
) -> tuple[dict[str, Any], pa.Table]:
    file = segment_file(stated if stated is not None else body or b"", record_count)
    place = {"topic": TOPIC, "partition": 0, "offset_kind": "kafka_offset", **index}
    task = ScanTask(0, 0, segments=(file,), ranges=(ScanRange(0, 0, 0),), **place)
    spec = ScanSpec(RUN, NOTHING, scenario_run_ids, int96_is_utc=int96_is_utc)
    return scan_task(task, Single(body), spec)  # type: ignore[arg-type]  # only read() is used


def parquet(content: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(content, sink, write_page_checksum=True)
    return sink.getvalue()


def fault(summary: dict[str, Any]) -> tuple[str, str]:
    (one,) = summary["faults"]
    return one["code"], one["message"]


def test_a_sound_segment_has_no_fault() -> None:
    summary, rows = scan_bytes(parquet(table()))
    assert (summary["faults"], rows.column(r.EVENT_ID).to_pylist()) == ([], ["e0"])
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _: None, "is missing"),
        (lambda _: b"", "has 0 bytes"),
        (lambda body: body[:-9], "bytes, the index states"),
        (lambda body: body[:50] + bytes([body[50] ^ 1]) + body[51:], "has sha256"),
    ],
    ids=["missing", "empty", "truncated", "flipped"],
)
def test_bytes_that_are_not_the_index_s(damage: Callable[[bytes], bytes | None], said: str) -> None:
    body = parquet(table())
    code, message = fault(scan_bytes(damage(body), stated=body)[0])
    assert code == "ARCHIVE_SEGMENT_CORRUPT"
    assert said in message


def test_bytes_that_are_no_parquet() -> None:
    code, message = fault(scan_bytes(b"PAR1 but no more")[0])
    assert code == "ARCHIVE_SEGMENT_CORRUPT"
    assert "seg.parquet cannot be decoded" in message


@pytest.mark.parametrize("index", [{"topic": "other"}, {"partition": 1}, {"offset_kind": "file_line"}])
def test_rows_of_another_partition_make_it_uncheckable(index: dict[str, Any]) -> None:
    assert fault(scan_bytes(parquet(table()), **index)[0])[0] == "REPLAY_UNCHECKABLE"


@pytest.mark.parametrize("offset", ["00", "+0", "", "0.0", " 0", "9223372036854775807", None])
def test_offset_texts_that_are_none(offset: str | None) -> None:
    origin = [{"topic": TOPIC, "partition": 0, "offset": offset, "offset_kind": "kafka_offset"}]
    content = table()
    place, typed = content.schema.get_field_index("origin_offset"), pa.array(origin, content["origin_offset"].type)
    content = content.set_column(place, "origin_offset", typed)
    assert fault(scan_bytes(parquet(content))[0])[0] == "REPLAY_UNCHECKABLE"


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "null event id": ({"event_id": None}, "event_id"),
    "empty event id": ({"event_id": ""}, "event_id"),
    "null type": ({"event_type": None}, "event_type"),
    "no run": ({"platform_run_id": None}, "platform_run_id"),
    "null hash": ({"payload_hash": None}, "payload_hash"),
    "empty envelope": ({"envelope": ""}, "envelope"),
    "local time": ({"ts_utc": "2026-02-10T10:00:00+01:00"}, "ts_utc"),
    "nanoseconds": ({"ts_utc": "2026-02-10T10:00:00.0000001Z"}, "ts_utc"),
    "garbled arrival": ({"published_at_utc": "soon"}, "arrival"),
    "not JSON": ({"envelope": '{"payload":{}'}, "not JSON"),
    "NaN": ({"envelope": '{"payload":{"a":NaN}}'}, "not JSON"),
    "an array": ({"envelope": "[]"}, "object payload"),
    "no payload": ({"envelope": "{}"}, "object payload"),
    "payload twice": ({"envelope": '{"payload":{},"payload":{}}'}, "twice"),
}


@pytest.mark.parametrize(("change", "said"), INVALID.values(), ids=INVALID)
def test_an_invalid_record_is_counted_and_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    bad = replace(ROWS[2], payload_hash="ab" * 32) if "payload_hash" not in change else ROWS[2]
    _, (_, _, [(summary, rows)]) = scanned(world(*ROWS[:2], replace(bad, **change), ROWS[3]), tmp_path)
    assert (summary["counts"]["invalid"], summary["counts"]["valid"]) == (1, 3)
    (sample,) = summary["samples"]["invalid"]
    assert (sample["offset"], said in sample["reason"]) == ("2", True)
    readable = [row for row in rows.to_pylist() if not row[r.FLAGS] & r.UNREADABLE]
    assert [row[r.OFFSET] for row in readable] == ["0", "1", "3"]


def test_training_refuses_an_invalid_record_by_its_position(tmp_path: Path) -> None:
    ours = replayed(world(*ROWS[:3], replace(ROWS[3], event_type="")), tmp_path, training=True)
    (found,) = ours.completeness.faults
    assert found.code == "REPLAY_EVENT_INVALID"
    assert f"{TOPIC} partition 0 offset 3" in found.message


def test_an_unreadable_copy_makes_the_other_one_seen_twice(tmp_path: Path) -> None:
    lying = replace(ROWS[0], payload_hash="ab" * 32)
    alone = replayed(world(lying), tmp_path / "alone", training=False)
    twice = replayed(world(lying, replace(ROWS[1], event_id="e0", event_type="")), tmp_path / "twice", training=False)
    assert alone.facts is not None
    assert twice.facts is not None
    assert (alone.facts.counts["rows"], twice.facts.counts["rows"]) == (1, 0)
    assert twice.facts.counts["invalid"] == 2


def test_a_gap_is_told_with_what_is_there(tmp_path: Path) -> None:
    ours = replayed(replace(world(*ROWS), intent=intent(slice_(0, 9))), tmp_path, training=False)
    (found,) = ours.completeness.faults
    assert (ours.completeness.status, found.code) == ("INCOMPLETE", "REPLAY_BASIS_GAP")
    assert "6 offsets" in found.message
    assert "4 to 9" in found.message
    assert found.make_refusal().exit_status == 30


def test_gaps_that_only_ofs_declares_are_uncheckable(tmp_path: Path) -> None:
    drawn = World((segment(ROWS[0], ROWS[2], gaps=((1, 1),)),), intent(slice_(0, 2)), profile(GROUP))
    document = json.loads(write_world(drawn, tmp_path).index.read_text())
    document["segments"][0]["attested_by"] = "ofs_index"
    document["digest"] = digest({k: v for k, v in document.items() if k != "digest"})
    tasks = plan_scan(prove_index(document, RUN), basis_of(drawn))
    summary, _ = scan_task(tasks[0], Folder(tmp_path / "objects"), ScanSpec(RUN, NOTHING))
    assert [summary["missing"][0]["count"], summary["unattested"][0]["count"]] == [0, 1]


def damaged(change: Callable[[dict[str, Any]], object], redigest: bool, tmp_path: Path) -> Refusal:
    document = json.loads(write_world(world(*ROWS), tmp_path).index.read_text())
    change(document)
    if redigest:
        document["digest"] = digest({k: v for k, v in document.items() if k != "digest"})
    with pytest.raises(Refusal) as refused:
        prove_index(document, RUN)
    return refused.value


@pytest.mark.parametrize(
    ("change", "redigest", "said"),
    [
        (lambda d: d["segments"].clear(), False, "/digest"),
        (lambda d: d["segments"].append(d["segments"][0]), True, "listed 2 times"),
        (lambda d: d["segments"][0].update(first_offset="9"), True, "precedes first_offset"),
        (lambda d: d["segments"][0].update(first_offset="00"), True, "first_offset"),
        (lambda d: d["segments"][0].update(offset_kind="pulsar"), True, "offset_kind"),
        (lambda d: d["segments"][0].update(gaps=[{"start": "3", "end": "2", "reason": "x"}]), True, "gaps/0"),
        (lambda d: d["segments"][0].update(surprise=1), True, "surprise"),
        (lambda d: d.update(platform_run_id="platform_20250101T000000Z"), True, "platform_run_id"),
    ],
)
def test_an_index_that_contradicts_itself(
    change: Callable[[dict[str, Any]], object], redigest: bool, said: str, tmp_path: Path
) -> None:
    refusal = damaged(change, redigest, tmp_path)
    assert refusal.code == "ARCHIVE_INDEX_INVALID"
    assert said in refusal.message


def test_the_slice_digest_ignores_what_the_basis_does_not_reach(tmp_path: Path) -> None:
    small, grown = World((segment(*ROWS[:2]),), intent(slice_(0, 1)), profile(GROUP)), segment(*ROWS[2:])
    digests = set()
    for number, drawn in enumerate((small, replace(small, segments=(*small.segments, grown)))):
        document = json.loads(write_world(drawn, tmp_path / str(number)).index.read_text())
        digests.add(digest_slice(prove_index(document, RUN), basis_of(small)))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.1+00:00", 100_000), ("2024-02-29T00:00:00.0000010000Z", None),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000), ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("2023-02-29T00:00:00Z", NO_INSTANT), ("2024-01-01T00:00:60Z", NO_INSTANT), ("2024-01-01 00:00:00Z", NO_INSTANT),
        ("2024-01-01T00:00:00", NO_INSTANT), ("2024-01-01T00:00:00.Z", NO_INSTANT), ("0000-01-01T00:00:00Z", NO_INSTANT),
        ("2024-01-01T00:00:00+01:00", NO_INSTANT), ("2024-01-01T00:00:00.0000001Z", NO_INSTANT), ("", NO_INSTANT),
    ],
)  # fmt: skip
def test_instants(text: str, expected: int | None) -> None:
    (found,) = read_micros(pa.array([text], pa.large_string())).tolist()
    assert found == (1_709_164_800_000_001 if expected is None else expected)
