"""`ofs explain`: what it answers, what it reads of the archive, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.contracts import find_faults
from tests.spec.tables.windows import LATE, TIES, world
from tests.worlds.command import Result, run_command
from tests.worlds.model import RUN, World, label, profile, row
from tests.worlds.running import build
from tests.worlds.sabotage import remove, rewrite
from tests.worlds.writer import Layout, Written, write_world

SPEND = {"name": "spend", "aggregate": "sum", "value": "amount"}
COUNT = {"name": "count", "aggregate": "count"}
SHARE = {"name": "share", "ratio": ["amount", "spend_1h"]}
DAYS = "event|offset|time|card|amount\n" + "\n".join(
    f'e{n}|{n}|{n // 4 + 10:02d}T{n % 4:02d}:10:00|"{"AB"[n % 2]}"|{n}.5' for n in range(40)
)
"""Ten days, four events a day, of two cards in turn."""


def ofs(written: Written, *arguments: str, options: tuple[str, ...] = ("--json", "--quiet")) -> Result:
    return run_command("--wiring", str(written.wiring), *options, "explain", *arguments)


def publish(made: World, folder: Path, layout: Layout | None = None) -> tuple[Written, str]:
    written = write_world(made, folder, layout or Layout())
    return written, str(build(written).published["manifest_ref"])


def tell(written: Written, *arguments: str) -> dict[str, Any]:
    told = ofs(written, *arguments)
    assert told.exit_code == 0, told.stdout
    answer: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    assert find_faults(answer, "explain_answer") == []
    return answer


def positions(answer: dict[str, Any], counted: bool = True) -> list[str]:
    return [one["position"]["offset"] for one in answer["contributing"] if one["counted"] is counted]


def paid(
    events: str = "event|time|card|amount\ne0|10:00|1|12.50\ne1|10:10|1|7\ne2|10:20|1|1.25\ne3|10:30|2|9",
) -> World:
    return world(events, features=[COUNT, SPEND], derived=[SHARE])


def test_a_sum_is_told_with_its_events(tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path)
    told = tell(written, ref, "e2", "g__spend_1h")
    assert (told["value"], told["stored"], told["counted"]) == (20.75, 20.75, 3)
    assert told["arithmetic"] == "sum of 3 values of amount: 12.50 + 7.00 + 1.25 = 20.75"
    assert [one["value"] for one in told["contributing"]] == ["12.50", "7.00", "1.25"]
    assert told["key"] == {"card": "1"}
    assert told["window"] == {"after": "2026-02-10T09:20:00.000000Z", "until": "2026-02-10T10:20:00.000000Z"}


def test_a_derived_column_names_its_operands(tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path)
    told = tell(written, ref, "e2", "g__share")
    assert told["arithmetic"].startswith("amount ÷ spend_1h = 1.25 ÷ 20.75 = 5/83, rounded once to 0.060")
    assert {one["operand"] for one in told["contributing"]} == {"amount", "spend_1h"}


def test_every_column_of_a_row(tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path)
    told = tell(written, ref, "e3")
    assert {one["name"]: one["value"] for one in told["columns"] if one["role"] == "feature"} == {
        "g__count_1h": 1,
        "g__spend_1h": 9.0,
        "g__share": 1.0,
    }
    people = ofs(written, ref, "e3", options=()).stdout
    assert "g__spend_1h" in people
    assert "sum of 1 value of amount: 9.00 = 9" in people


OWN = {
    "anchor": [{"name": "amount", "path": "payload.amount", "type": "decimal(12,2)"},
               {"name": "shop", "path": "payload.shop", "type": "string"}],
    "keep_keys": True,
}  # fmt: skip


def keeping(made: World, **own: Any) -> World:
    """The world, whose feature set keeps something of a row's own event."""
    return replace(made, profile=profile(*made.profile["feature_groups"], **(own or OWN)))


def test_what_a_row_keeps_of_its_event_comes_from_there_alone(tmp_path: Path) -> None:
    written, ref = publish(keeping(paid()), tmp_path, Layout(rows_per_segment=1))
    told = tell(written, ref, "e1", "anchor__amount")
    assert (told["value"], told["stored"], told["counted"]) == ("7.00", "7.00", 1)
    assert (told["column"]["role"], told["arithmetic"]) == ("anchor", "payload.amount of this event: 7.00")
    assert positions(told) == ["1"]
    assert told["contributing"][0]["reason"] == "the anchor's own value"
    assert told["segments"] == {"read": 1, "asked_for_arrivals": 0, "of": 4}
    assert not {"key", "window"} & set(told)
    key = tell(written, ref, "e1", "key__g__card")
    assert (key["value"], key["column"]["role"], positions(key)) == ("1", "identity", ["1"])
    people = ofs(written, ref, "e1", "anchor__amount", options=()).stdout
    assert "payload.amount of this event: 7.00" in people


def test_a_value_that_the_event_does_not_have_is_told_as_such(tmp_path: Path) -> None:
    written, ref = publish(keeping(paid()), tmp_path)
    told = tell(written, ref, "e1", "anchor__shop")
    assert (told["value"], told["arithmetic"]) == (None, "this event has no payload.shop: null")
    assert (told["counted"], told["reasons"]["not_counted"]) == (0, {"has no value": 1})
    whole = tell(written, ref, "e1")
    assert [one["name"] for one in whole["columns"]][:4] == [
        "anchor__amount",
        "anchor__shop",
        "key__g__card",
        "g__count_1h",
    ]
    plain = ofs(written, ref, "e1", "event_type")
    assert plain.exit_code == 2


def test_a_kept_value_that_the_archive_does_not_give_is_refused(tmp_path: Path) -> None:
    """Another copy of the event, delivered before it, counts in the archive of today."""
    made = keeping(paid("event|offset|time|card|amount\ne0|4|10:00|1|12.50\ne1|5|10:10|1|7"))
    written, ref = publish(made, tmp_path / "then")
    other = keeping(paid("event|offset|time|card|amount\ne0|4|10:00|1|12.50\ne1|5|10:10|1|8"))
    write_world(replace(other, intent=made.intent), tmp_path / "now")
    replace_archive(written, tmp_path / "now" / "objects")
    told = ofs(written, ref, "e1", "anchor__amount")
    assert (told.exit_code, json.loads(told.stdout)["code"]) == (70, "PARITY_MISMATCH")
    assert tell(written, ref, "e0", "anchor__amount")["value"] == "12.50"


def replace_archive(written: Written, other: Path) -> None:
    """Puts another world's archive in the place of this one's."""
    own = written.root / RUN / "archive"
    shutil.rmtree(own)
    shutil.copytree(other / RUN / "archive", own)


def test_a_late_event_is_named_and_does_not_count(tmp_path: Path) -> None:
    written, ref = publish(world(LATE), tmp_path)
    told = tell(written, ref, "later", "g__count_1h")
    assert (positions(told), positions(told, counted=False)) == (["0", "1"], ["3", "2"][::-1])
    reasons = {one["position"]["offset"]: one["reason"] for one in told["contributing"]}
    assert reasons["2"] == "not known at the anchor: delivered after it"
    assert reasons["3"] == "after the window"


def test_arrivals_decide_between_partitions(tmp_path: Path) -> None:
    written, ref = publish(world(TIES), tmp_path)
    assert tell(written, ref, "p0", "g__count_1h")["counted"] == 2
    assert tell(written, ref, "p1", "g__count_1h")["counted"] == 1


def test_a_redelivery_is_named_and_does_not_count(tmp_path: Path) -> None:
    made = paid()
    again = replace(made.segments[0].rows[0], offset=4)
    segment = replace(made.segments[0], rows=(*made.segments[0].rows, again))
    (whole,) = made.intent["replay_basis"]
    made = replace(made, segments=(segment,)).with_intent(replay_basis=[{**whole, "end_offset": "4"}])
    written, ref = publish(made, tmp_path, Layout(rows_per_segment=1))
    told = tell(written, ref, "e2", "g__spend_1h")
    assert (told["value"], positions(told), positions(told, counted=False)) == (20.75, ["0", "1", "2"], ["4"])
    assert told["contributing"][-1]["reason"] == "a redelivery: another copy counts"


def test_the_copy_that_wins_may_have_another_key(tmp_path: Path) -> None:
    """A conflict that a non-training dataset tolerates: the first delivery of e1 is of another card, a day before."""
    made = paid()
    first, *rest = made.segments[0].rows
    other = row(0, "e1", "2026-02-09T10:00:00Z", {"card": 2, "amount": 1})
    rows = (other, *(replace(one, offset=n) for n, one in enumerate([first, *rest], start=1)))
    (whole,) = made.intent["replay_basis"]
    made = replace(made, segments=(replace(made.segments[0], rows=rows),)).with_intent(
        replay_basis=[{**whole, "end_offset": "4"}]
    )
    written, ref = publish(made, tmp_path, Layout(rows_per_segment=1))
    told = tell(written, ref, "e2", "g__spend_1h")
    assert (told["value"], positions(told)) == (13.75, ["1", "3"])
    assert told["contributing"][-1]["reason"] == "another payload of its event id counts"
    assert told["segments"]["read"] == told["segments"]["of"] == 5


def test_only_segments_that_may_hold_the_window_are_read(tmp_path: Path) -> None:
    written, ref = publish(world(DAYS, features=[COUNT, SPEND]), tmp_path, Layout(rows_per_segment=4))
    told = tell(written, ref, "e23", "g__spend_1h")
    assert (told["value"], told["segments"]) == (23.5, {"read": 1, "asked_for_arrivals": 0, "of": 10})


def test_an_index_that_states_wrong_times_costs_time_and_no_value(tmp_path: Path) -> None:
    made = world(DAYS, features=[COUNT, {**SPEND, "windows": []}])
    written = write_world(made, tmp_path, Layout(rows_per_segment=4))

    def misstate(index: dict[str, Any]) -> None:
        for entry in index["segments"][:3]:
            entry["min_ts_utc"] = entry["max_ts_utc"] = "2030-01-01T00:00:00.000000Z"

    rewrite(written.index, misstate, redigest=True)
    ref = str(build(written).published["manifest_ref"])
    told = tell(written, ref, "e9", "g__spend")
    assert (told["counted"], told["segments"]["read"]) == (5, 10)


def change_archive(written: Written, made: World, folder: Path) -> None:
    """The archive of another world in its place, with an index that fits."""
    other = write_world(made, folder)
    for path in other.segments:
        target = written.root / path.relative_to(other.root)
        target.write_bytes(path.read_bytes())
    written.index.write_bytes(other.index.read_bytes())


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ("event|time|card|amount\ne0|10:00|1|12.50\ne1|10:10|1|8\ne2|10:20|1|1.25\ne3|10:30|2|9", "21.75"),
        ("event|time|card|amount\ne0|10:00|1|12.50\ne1|10:10|1|7\nx2|10:20|1|1.25\ne3|10:30|2|9", "no such event"),
        ('event|time|card|amount\ne0|10:00|1|12.50\ne1|10:10|1|"x"\ne2|10:20|1|1.25\ne3|10:30|2|9', "FEATURE_VALUE"),
        ("event|time|card|amount\ne0|10:00|1|12.50\ne1|10:10|1|7", "no segment"),
    ],
    ids=["another amount", "another event", "no amount", "a shorter archive"],
)
def test_an_archive_that_gives_another_value_is_refused(events: str, says: str, tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path / "world")
    change_archive(written, paid(events), tmp_path / "other")
    for column in (("g__spend_1h",), ()):
        told = ofs(written, ref, "e2", *column)
        answer = json.loads(told.stdout)
        assert (told.exit_code, answer["code"], answer["room"]) == (70, "PARITY_MISMATCH", "parity")
        assert says in answer["message"]


def test_the_same_records_in_other_segments_are_explained(tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path / "world", Layout(rows_per_segment=1))
    change_archive(written, paid(), tmp_path / "other")
    assert tell(written, ref, "e2", "g__spend_1h")["segments"] == {"read": 1, "asked_for_arrivals": 0, "of": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody",), "no row of dm_"),
        (("nobody", "g__count_1h"), "is about event nobody"),
        (("e2", "g__spent_1h"), "did you mean g__spend_1h?"),
        (("e2", "_offset"), "role lineage"),
        (("e2", "ts_utc"), "role identity"),
    ],
    ids=str,
)
def test_what_is_not_there_is_wrong_use(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path)
    told = ofs(written, ref, *arguments)
    answer = json.loads(told.stdout)
    assert (told.exit_code, answer["outcome"], answer["reason"]) == (2, "FAILED", "USAGE")
    assert says in answer["message"]


def test_a_profile_that_was_changed_explains_nothing(tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path)
    written.profile.write_text(written.profile.read_text().replace("spend", "spent"))
    told = ofs(written, ref, "e2", "g__count_1h")
    assert (told.exit_code, json.loads(told.stdout)["code"]) == (20, "FEATURE_PROFILE_MISMATCH")


def test_a_table_evidence_or_segment_that_was_changed_is_refused_by_its_name(tmp_path: Path) -> None:
    written, ref = publish(paid(), tmp_path)
    manifest = json.loads((written.root / ref).read_bytes())
    plan = written.root / manifest["evidence"]["resolved_build_plan"]["ref"]
    body = plan.read_bytes()
    plan.write_bytes(body + b" ")
    assert json.loads(ofs(written, ref, "e2", "g__count_1h").stdout)["code"] == "EVIDENCE_IMMUTABILITY_VIOLATION"
    plan.write_bytes(body)
    remove(written.segments[0])
    assert json.loads(ofs(written, ref, "e2", "g__count_1h").stdout)["code"] == "ARCHIVE_SEGMENT_CORRUPT"
    (table,) = (written.root / manifest["materialization"]["path"]).glob("*.parquet")
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    assert json.loads(ofs(written, ref, "e2", "g__count_1h").stdout)["code"] == "MATERIALIZATION_CORRUPT"


def test_a_plan_that_does_not_name_event_types_is_uncheckable(tmp_path: Path) -> None:
    """As a plan of an earlier release: it matters where events are out of scope."""
    events = "event|time|card|amount|type\ne0|10:00|1|12.50|login\ne1|10:10|1|7|card_payment"
    made = paid(events).with_intent(filters={"event_types": ["card_payment"]})
    written, ref = publish(made, tmp_path)
    assert tell(written, ref, "e1", "g__count_1h")["reasons"]["not_counted"] == {"its event type is out of scope": 1}
    manifest = json.loads((written.root / ref).read_bytes())
    plan = written.root / manifest["evidence"]["resolved_build_plan"]["ref"]
    rewrite(plan, lambda document: document.pop("event_types"), redigest=False)
    manifest["evidence"]["resolved_build_plan"]["sha256"] = hashlib.sha256(plan.read_bytes()).hexdigest()
    (written.root / ref).write_text(json.dumps(manifest))
    told = ofs(written, ref, "e1", "g__count_1h")
    assert (told.exit_code, json.loads(told.stdout)["code"]) == (71, "PARITY_UNCHECKABLE")


ASSERTIONS = (
    label(1, "e2", "FRAUD_SUSPECTED", "2026-02-11T00:00:00Z"),
    label(2, "e2", "FRAUD_CONFIRMED", "2026-02-12T00:00:00Z"),
    label(3, "e2", "LEGIT_CONFIRMED", "2026-07-01T00:00:00Z"),
    label(4, "e3", "LEGIT_CONFIRMED", "2026-02-12T00:00:00Z"),
    label(5, "e3", "FRAUD_CONFIRMED", "2026-02-12T00:00:00Z"),
)


def test_a_label_is_told_with_the_assertions_that_were_considered(tmp_path: Path) -> None:
    written, ref = publish(replace(paid(), labels=ASSERTIONS), tmp_path)
    told = tell(written, ref, "e2", "label__fraud_disposition")
    assert told["value"] == "FRAUD_CONFIRMED"
    assert [(int(one["assertion_id"], 16), one["reason"]) for one in told["contributing"]] == [
        (2, "counts"),
        (1, "effective earlier"),
        (3, "observed after the cut-off"),
    ]
    assert told["segments"]["read"] == 0
    conflict = tell(written, ref, "e3", "label__fraud_disposition__status")
    assert (conflict["value"], conflict["counted"]) == ("CONFLICT", 2)
    nothing = tell(written, ref, "e0", "label__fraud_disposition")
    assert (nothing["value"], nothing["contributing"]) == (None, [])


def test_an_extract_that_was_changed_explains_no_label(tmp_path: Path) -> None:
    written, ref = publish(replace(paid(), labels=ASSERTIONS), tmp_path)
    rewrite(written.label_extract, lambda document: document.update(marker="another"), redigest=True)
    told = ofs(written, ref, "e2", "label__fraud_disposition")
    assert (told.exit_code, json.loads(told.stdout)["code"]) == (40, "LABEL_STORE_UNAVAILABLE")
