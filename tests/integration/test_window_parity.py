"""Values logged at decision time against rebuilt ones: a faithful log matches, every planted skew is found, and no row is lost."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.policy import load_policy
from ofs_spark.io.spark_engine import SparkEngine
from ofs_spark.workflow import window_plan
from tests.worlds.logging import FEATURES, REF, Line, compare, log_rows, make_world, write_lines, write_parquet
from tests.worlds.model import RUN
from tests.worlds.running import SMALL, build, policy_with
from tests.worlds.writer import Written, write_world

DOUBLES = ("card__mean_1h", "card__mean_24h", "card__ratio", "shop__largest_24h", "shop__spread_24h")
Place = tuple[str, str]
"""(event id, column)."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Written, list[Line]]:
    """A world and its faithful log; a test changes neither, and logs into files of its own."""
    written = write_world(make_world(120), tmp_path_factory.mktemp("window"))
    return written, log_rows(build(written).rows)


def find(document: dict[str, Any], column: str) -> dict[str, Any]:
    (found,) = (one for one in document["columns"] if one["column"] == column)
    return dict(found)


def refusal(written: Written, ref: str, policy: Path | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        compare(written, ref, policy=policy)
    return caught.value


@pytest.mark.parametrize("form", ["json_lines", "parquet_doubles", "parquet_texts"])
def test_a_faithful_log_matches(place: tuple[Written, list[Line]], form: str) -> None:
    written, lines = place
    if form == "json_lines":
        ref = write_lines(written, lines)
    elif form == "parquet_doubles":
        lines = [one for one in lines if one["column"] in DOUBLES]
        ref = write_parquet(written, lines, pa.float64())
    else:
        lines = [{**one, "value": text_of(one["value"])} for one in lines]
        ref = write_parquet(written, lines, pa.string())
    audit: Audit = []
    document = compare(written, ref, audit=audit)
    assert (document["outcome"], document["logged"]["rows"]) == ("MATCH", len(lines))
    assert document["counts"]["equal"] == document["counts"]["compared"] == len(lines)
    assert {one["column"] for one in document["columns"]} == {one["column"] for one in lines}
    assert all(
        one["day_count"] == 3 and sum(day["equal"] for day in one["days"]) == one["equal"]
        for one in document["columns"]
    )
    assert find_faults(document, window_plan.SCHEMA_VERSION) == []
    assert [(one.ref, one.outcome) for one in audit if one.purpose == window_plan.PURPOSE] == [(ref, "resolved")]


def text_of(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def plant(rng: random.Random, value: Any) -> Any:
    """Another value of the same type, or a null; for a null a value."""
    if value is None or rng.random() < 0.2:
        return 17.5 if value is None else None
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, int):
        return value + rng.choice([1, -1, 1000])
    step = Decimal(rng.choice(["0.01", "-0.01", "2.5", "1e-9"]))
    return value + step if isinstance(value, Decimal) else float(Decimal(repr(value)) + step)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("small", [False, True], ids=["one_bucket", "small_buckets"])
def test_planted_skews_are_found_exactly(
    place: tuple[Written, list[Line]], seed: int, small: bool, tmp_path: Path
) -> None:
    find_planted(place, seed, policy_with(tmp_path / "policy", SMALL) if small else None)


def test_planted_skews_of_events_with_ids_of_hex_digits_are_found_too(tmp_path: Path) -> None:
    """Which are packed in staged rows."""
    written = write_world(make_world(120, name="{:032x}"), tmp_path)
    find_planted((written, log_rows(build(written).rows)), 0, None)


def find_planted(place: tuple[Written, list[Line]], seed: int, policy: Path | None) -> None:
    """Plants skews in a faithful log, and finds them, no more and no less, in the report."""
    written, rng = place[0], random.Random(seed)
    lines, planted = deepcopy(place[1]), dict[Place, tuple[Any, Any]]()
    for line in rng.sample(lines, 150):
        if line["value"] is None and line["column"] in ("card__shop_24h", "card__chip_24h"):
            continue
        other = plant(rng, line["value"])
        planted[line["event_id"], line["column"]] = other, line["value"]
        line["value"] = other
    rng.shuffle(lines)
    document = compare(written, write_lines(written, lines), policy=policy)
    assert (document["outcome"], document["counts"]["beyond"]) == ("MISMATCH", len(planted))
    assert document["counts"]["equal"] == len(lines) - len(planted)
    for column in FEATURES:
        judge(find(document, column), {of: pair for of, pair in planted.items() if of[1] == column}, lines)


def exact(value: Any) -> Fraction:
    return Fraction(Decimal(repr(value) if isinstance(value, float) else value))


def judge(found: dict[str, Any], planted: dict[Place, tuple[Any, Any]], lines: list[Line]) -> None:
    """One column of the report against what was planted in it."""
    sizes = {
        of[0]: exact(logged) - exact(rebuilt)
        for of, (logged, rebuilt) in planted.items()
        if None not in (logged, rebuilt) and not isinstance(logged, str | bool)
    }
    assert (found["beyond"], found["within"]) == (len(planted), 0)
    assert found["one_null"] == sum(None in pair for pair in planted.values())
    if found["type"] in ("string", "bool"):
        assert (found["measured"], found["greatest_difference"]) == (0, None)
    else:
        total = sum(map(abs, sizes.values()), Fraction(0))
        assert Fraction(found["greatest_difference"]) == max(map(abs, sizes.values()), default=0)
        mean = total / found["measured"]
        assert abs(Fraction(found["mean_difference"]) - mean) <= mean / 10**16
    worst = found["worst"]
    assert len(worst) == min(20, len(planted))
    measured = [one["event_id"] for one in worst if one["difference"] is not None]
    assert [abs(sizes[event]) for event in measured] == sorted(map(abs, sizes.values()), reverse=True)[: len(measured)]
    for one in worst:
        logged, rebuilt = planted[one["event_id"], found["column"]]
        assert (one["logged"], one["rebuilt"]) == (spelled(logged), spelled(rebuilt))
        assert one["line"] == 1 + next(
            n
            for n, line in enumerate(lines)
            if (line["event_id"], line["column"]) == (one["event_id"], found["column"])
        )
        assert one["difference"] is None or Fraction(one["difference"]) == sizes[one["event_id"]]
        number = int(one["event_id"], 16) if len(one["event_id"]) == 32 else int(one["event_id"][1:])
        assert (int(one["offset"]), one["partition"]) == divmod(number, 2)
    by_day: dict[str, int] = {}
    stamps = {line["event_id"]: line["logged_at_utc"][:10] for line in lines}
    for event, _ in planted:
        by_day[stamps[event]] = by_day.get(stamps[event], 0) + 1
    assert {day["day"]: day["beyond"] for day in found["days"] if day["beyond"]} == by_day


def spelled(value: Any) -> str | None:
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return text_of(value)


def test_a_tolerance_is_declared_per_feature(place: tuple[Written, list[Line]], tmp_path: Path) -> None:
    """1.01 against 1.00 is within 0.01: differences are those of the decimals, not of their nearest doubles."""
    written, lines = place[0], deepcopy(place[1])
    own = [one for one in lines if one["column"] == "card__mean_24h" and one["value"] is not None]
    for line in own[:10]:
        line["value"] = float(Decimal(repr(line["value"])) + Decimal("0.01"))
    for line in own[10:15]:
        line["value"] *= 1.0009
    spent = [one for one in lines if one["column"] == "card__spent_24h"]
    spent[0]["value"] += Decimal("0.01")
    tolerances = {"card__mean_24h": {"absolute": "0.01", "relative": "0.001"}, "of_another_set": {"absolute": "1"}}
    policy = policy_with(tmp_path / "policy", {"features": {"parity_tolerances": tolerances}})
    document = compare(written, write_lines(written, lines), policy=policy)
    mean = find(document, "card__mean_24h")
    assert (mean["within"], mean["beyond"], mean["worst"]) == (15, 0, [])
    assert mean["tolerance"] == {"absolute": "0.01", "relative": "0.001"}
    assert (find(document, "card__spent_24h")["beyond"], find(document, "card__spent_24h")["tolerance"]) == (1, None)
    spent[0]["value"] -= Decimal("0.01")
    assert compare(written, write_lines(written, lines), policy=policy)["outcome"] == "MATCH"


def test_a_tolerance_of_what_has_no_difference_is_refused(place: tuple[Written, list[Line]], tmp_path: Path) -> None:
    policy = policy_with(
        tmp_path / "policy", {"features": {"parity_tolerances": {"card__shop_24h": {"absolute": "1"}}}}
    )
    found = refusal(place[0], write_lines(*place), policy)
    assert (found.code, found.details["column"]) == ("ENVIRONMENT_UNFIT", "card__shop_24h")


def test_tolerances_enter_no_digest(tmp_path: Path) -> None:
    tolerances = {"features": {"parity_tolerances": {"card__mean_24h": {"absolute": "1"}}}}
    policy, other = load_policy(None), load_policy(policy_with(tmp_path, tolerances))
    assert (len(other.parity_tolerances), len(policy.parity_tolerances)) == (1, 0)
    assert other.file_digests == policy.file_digests


def test_what_cannot_be_compared_is_counted_and_named(place: tuple[Written, list[Line]]) -> None:
    written, lines = place[0], deepcopy(place[1])
    line = {one["column"]: one for one in lines[30:40]}
    login = next(f"e{n}" for n in range(120) if f"e{n}" not in {one["event_id"] for one in lines})
    odd: dict[str, list[Line]] = {
        "COLUMN_UNKNOWN": [
            {**line["card__ratio"], "column": "card__z_7d"},
            {**line["card__ratio"], "column": "ts_utc"},
        ],
        "EVENT_UNKNOWN": [{**line["card__ratio"], "event_id": "nobody"}],
        "EVENT_NOT_ANCHOR": [{**line["card__ratio"], "event_id": login}],
        "LOGGED_BEFORE_EVENT": [{**line["card__ratio"], "logged_at_utc": "2026-02-10T00:00:00Z"}],
        "VALUE_UNREADABLE": [
            {**line["card__ratio"], "value": "1,5"},
            {**line["card__count_1h"], "value": "NaN"},
            {**line["card__count_1h"], "value": {"n": 1}},
            {**line["card__shop_24h"], "value": 3},
            {**line["card__chip_24h"], "value": 1},
        ],
        "VALUES_CONFLICT": [{**line["card__count_24h"], "value": 1_000}],
    }
    first = len(lines) + 1
    named = {
        reason: list(range(first + n, first + n + len(rows)))
        for (reason, rows), n in zip(odd.items(), (0, 2, 3, 4, 5, 10), strict=True)
    }
    named["VALUES_CONFLICT"].insert(0, 1 + lines.index(line["card__count_24h"]))
    repeats = [{**line["card__mean_1h"]}, {**line["card__count_1h"], "value": f"{line['card__count_1h']['value']}.0"}]
    document = compare(
        written, write_lines(written, [*lines, *(one for rows in odd.values() for one in rows), *repeats])
    )
    assert document["outcome"] == "UNCHECKABLE"
    found = {one["reason"]: [row["line"] for row in one["first"]] for one in document["unchecked"]}
    assert found == named
    counts = document["counts"]
    assert (counts["repeats"], counts["unchecked"], counts["equal"]) == (2, 12, len(lines) - 1)
    assert counts["rows"] == counts["compared"] + counts["repeats"] + counts["unchecked"]
    told = next(one for one in document["unchecked"] if one["reason"] == "EVENT_UNKNOWN")
    assert told["first"] == [{"line": first + 2, "event_id": "nobody", "column": "card__ratio"}]


def test_numbers_are_what_they_spell(place: tuple[Written, list[Line]]) -> None:
    """3, 3.0, "3" and 30e-1 are one count; a null equals a null; a fraction in a whole column is a difference."""
    written = place[0]
    counts = [one for one in place[1] if one["column"] == "card__count_1h"][:5]
    spellings = ["{0}", "{0}.0", '"{0}"', "{0}0e-1", "{0}.5"]
    texts = [
        json.dumps({**one, "value": "@"}).replace('"@"', how.format(one["value"]))
        for one, how in zip(counts, spellings, strict=True)
    ]
    nulls = [one for one in place[1] if one["value"] is None]
    assert nulls
    document = compare(written, write_lines(written, [*texts, "", *nulls]))
    found = find(document, "card__count_1h")
    assert (found["equal"], found["beyond"]) == (4, 1)
    assert (found["worst"][0]["line"], found["worst"][0]["difference"]) == (5, "0.5")
    assert document["counts"]["equal"] == 4 + len(nulls)
    assert document["logged"]["rows"] == 5 + len(nulls)


FAULTY = (
    '{"event_id": "e1", "column": "card__ratio", "value": NaN, "logged_at_utc": "2026-02-11T00:00:00Z"}',
    '{"event_id": "e1", "column": "card__ratio", "logged_at_utc": "2026-02-11T00:00:00Z"}',
    '{"event_id": "", "column": 3, "value": 1, "logged_at_utc": "2026-02-11T00:00:00+02:00"}',
    '{"event_id": "\\ud800", "column": "", "value": -Infinity, "logged_at_utc": ""}',
    '{"event_id": "e1", "event_id": "e2", "column": "c", "value": 1, "logged_at_utc": "2026-02-11T00:00:00Z"}',
    "[1]",
    '{"event_id": "e1"',
)


def test_every_faulty_line_is_told(place: tuple[Written, list[Line]]) -> None:
    written = place[0]
    ref = write_lines(written, [*place[1][:3], *FAULTY, *place[1][3:6]])
    found = refusal(written, ref)
    assert (found.code, found.exit_status) == ("PARITY_ANCHOR_INVALID", 20)
    told = [(one["line"], one["pointer"]) for one in found.details["faults"]]
    assert told == [
        *[(4, ""), (5, "/value"), (6, "/column"), (7, ""), (8, "")],
        *[(9, f"/{name}") for name in ("event_id", "column", "value", "logged_at_utc")],
        (10, ""),
    ]
    assert "NaN is not JSON" in found.details["faults"][0]["message"]
    assert found.details["fault_count"] == len(told)


def test_rows_of_parquet_that_are_no_values_are_told(place: tuple[Written, list[Line]]) -> None:
    written = place[0]
    lines = [{**one, "value": 1.0} for one in place[1][:9]]
    lines[2]["value"], lines[7]["value"] = float("nan"), float("-inf")
    found = refusal(written, write_parquet(written, lines, pa.float64()))
    assert [(one["line"], one["pointer"]) for one in found.details["faults"]] == [(3, "/value"), (8, "/value")]


def drop_column(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["value"]), path)


def store_bytes(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(2, "value", pa.array([b"1"] * table.num_rows)), path)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def damage(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[20:60] = bytes(40)
    path.write_bytes(body)


@pytest.mark.parametrize("spoil", [drop_column, store_bytes, cut_off, damage, Path.unlink])
def test_a_file_that_is_none_is_refused(place: tuple[Written, list[Line]], spoil: Callable[[Path], object]) -> None:
    written = place[0]
    ref = write_parquet(
        written, [{**one, "value": 1.0} for one in place[1][:9]], pa.float64(), f"{RUN}/spoiled.parquet"
    )
    spoil(written.root / ref)
    found = refusal(written, ref)
    assert (found.code, found.details["ref"]) == ("PARITY_ANCHOR_INVALID", ref)


@pytest.mark.parametrize("ref", ["../features.jsonl", "/etc/passwd", "s3://elsewhere/features.jsonl"])
def test_a_ref_outside_the_root_is_refused(place: tuple[Written, list[Line]], ref: str) -> None:
    assert refusal(place[0], ref).code == "REF_SCOPE_INVALID"


def test_faults_of_pins_and_of_the_file_are_told_together(place: tuple[Written, list[Line]], tmp_path: Path) -> None:
    written = place[0]
    document = {**json.loads(written.intent.read_bytes()), "run_facts_ref": f"{RUN}/sr/nowhere.json"}
    written = replace(written, intent=tmp_path / "intent.json")
    written.intent.write_text(json.dumps(document))
    codes = [one["code"] for one in refusal(written, f"{RUN}/nowhere.jsonl").details["faults"]]
    assert codes == ["RUN_FACTS_UNAVAILABLE", "PARITY_ANCHOR_INVALID"]


def test_without_a_proven_basis_nothing_is_compared(place: tuple[Written, list[Line]], tmp_path: Path) -> None:
    """A segment lacks an offset and has another one twice: only the scan shows it."""
    world = make_world(120)
    first = world.segments[0]
    short = replace(first, rows=(*first.rows[:5], first.rows[6], *first.rows[6:]))
    written = write_world(replace(world, segments=(short, world.segments[1])), tmp_path)
    document = compare(written, write_lines(written, place[1]))
    assert document["prerequisites"][0]["code"].startswith("REPLAY_")
    judge_nothing(document, place[1])


def test_without_features_nothing_is_compared(place: tuple[Written, list[Line]], tmp_path: Path) -> None:
    values = make_world(120).profile["feature_groups"][0]["values"]
    odd = {**values, "chip": {**values["chip"], "path": "payload.shop"}}
    written = write_world(make_world(120).with_group(values=odd), tmp_path)
    document = compare(written, write_lines(written, place[1]))
    assert [one["code"] for one in document["prerequisites"]] == ["FEATURE_VALUE_INVALID"]
    judge_nothing(document, place[1])


def judge_nothing(document: dict[str, Any], lines: list[Line]) -> None:
    """A report of a comparison that was not possible."""
    counts = document["counts"]
    assert (document["outcome"], document["columns"]) == ("UNCHECKABLE", [])
    assert (counts["rows"], counts["not_compared"], document["prerequisite_count"]) == (len(lines), len(lines), 1)


def test_an_empty_file_proves_nothing(place: tuple[Written, list[Line]]) -> None:
    written = place[0]
    document = compare(written, write_lines(written, []))
    assert (document["outcome"], document["counts"]["rows"], document["columns"]) == ("UNCHECKABLE", 0, [])


def test_the_document_is_the_same_however_the_work_is_spread(
    place: tuple[Written, list[Line]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: SparkSession
) -> None:
    """On Spark too, from several shares of the file, with other buckets; the plan of another layout is another one."""
    rng, lines = random.Random(3), deepcopy(place[1])
    for line in rng.sample(lines, 60):
        if isinstance(line["value"], float):
            line["value"] *= 1.5
    lines += rng.sample(lines, 25) + [{**one, "event_id": f"n{n}"} for n, one in enumerate(lines[:40])]
    written = place[0]
    ref = write_lines(written, lines, f"{REF}.spread")
    expected = compare(written, ref)
    assert expected["outcome"] == "MISMATCH"
    monkeypatch.setattr("ofs_spark.parity.logged._SHARE", 4_096)
    monkeypatch.setattr("ofs_spark.parity.logged_lines._PIECE", 1_000)
    again = compare(written, ref, lambda: SparkEngine(spark))
    assert again == expected
    other = compare(place[0], ref, policy=policy_with(tmp_path / "policy", SMALL))
    assert {**other, "plan_id": ""} == {**expected, "plan_id": ""}
