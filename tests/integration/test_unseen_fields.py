"""A declared field that no event has is named, with what is there instead: in a refusal that it causes, else as a warning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.contracts import find_faults
from tests.spec.tables.windows import group, world
from tests.worlds.command import run_command
from tests.worlds.model import World, profile
from tests.worlds.running import Outcome, build, run, verify
from tests.worlds.writer import Layout, write_world

EVENTS = """
part | offset | event | time  | arrives  | type         | card | amount | country | geo
0    | 0      | e0    | 10:00 | 10:00:01 | card_payment | "A"  | 1      | "DE"    | {"city":"x","zip":1}
0    | 1      | e1    | 10:01 | 10:01:01 | card_payment | "A"  | 2      | "FR"    | {"city":"y"}
1    | 0      | e2    | 10:02 | 10:02:01 | login        | "B"  | 3      |         |
"""
SPEND = {"name": "spend", "aggregate": "sum", "value": "amount"}


def reading(path: str, missing: str = "null", **changes: Any) -> World:
    """A world whose group sums a value at this path."""
    value = {"path": path, "type": "decimal(12,2)", "missing": missing}
    return world(EVENTS, features=[{"name": "count", "aggregate": "count"}, SPEND], values={"amount": value}, **changes)


def refused(made: World, folder: Path) -> Any:
    found = run(made, folder)
    assert found.refusal is not None
    assert find_faults(found.refusal.to_document(), "refusal_answer") == []
    return found.refusal


def warnings(found: Outcome) -> list[str]:
    """What the answer warns of, beside the pins that differ."""
    pins = found.manifest["differences"]
    told: list[str] = found.published["warnings"]
    assert told[: len(pins)] == pins
    return told[len(pins) :]


def test_a_filter_on_a_field_that_no_event_has_names_it_and_the_nearest(tmp_path: Path) -> None:
    no = refused(world(EVENTS).with_intent(filters={"countri": ["DE"]}), tmp_path)
    assert (no.code, no.exit_status) == ("LABEL_SCOPE_EMPTY", 40)
    (fault,) = no.details["faults"]
    assert fault["pointer"] == no.details["pointer"] == "/filters/countri"
    assert fault["message"] == "no in-scope event has payload.countri; the nearest name is payload.country"
    assert "/filters/countri" in no.message


def test_a_filter_none_of_whose_values_is_there_is_named_too(tmp_path: Path) -> None:
    asked = {"country": ["ES"], 'odd."name': [1], "card": ["A"]}
    no = refused(world(EVENTS).with_intent(filters=asked), tmp_path)
    told = {one["pointer"]: one["message"] for one in no.details["faults"]}
    assert told["/filters/country"] == "no in-scope event has one of its values in payload.country"
    assert "the nearest name is" in told['/filters/odd."name']
    assert len(told) == 2


def test_filters_that_leave_nothing_only_together_are_told_as_such(tmp_path: Path) -> None:
    no = refused(world(EVENTS).with_intent(filters={"country": ["DE"], "amount": [3]}), tmp_path)
    assert no.message == "no in-scope event is an anchor: anchor types, times and filters leave none"
    assert "pointer" not in no.details


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("payload.amuont", "payload.amount"),
        ("payload.AMOUNT", "payload.amount"),
        ("payload.geo.citty", "payload.geo.city"),
        ("payload.goe.city", "payload.geo"),
        ("payload.country.code", "payload.country"),
        ('payload."card.id"', "payload.card"),
    ],
)
def test_a_value_that_no_event_has_is_a_warning(path: str, nearest: str, tmp_path: Path) -> None:
    found = run(reading(path), tmp_path)
    assert {row["g__spend_1h"] for row in found.rows} == {None}
    assert warnings(found) == [f"g__spend_1h: no in-scope event has {path}; the nearest name is {nearest}"]
    (told,) = found.manifest["replay"]["unseen_fields"]
    assert told == {"path": path, "column": "g__spend_1h", "columns": 1, "nearest": nearest}


def test_a_field_that_one_event_somewhere_has_is_not_told(tmp_path: Path) -> None:
    found = run(reading("payload.geo.zip"), tmp_path, Layout(rows_per_segment=1))
    assert warnings(found) == []
    assert "unseen_fields" not in found.manifest["replay"]


def test_a_field_that_is_always_null_is_there(tmp_path: Path) -> None:
    made = world('event|time|card|amount\ne0|10:00|"A"|null', features=[SPEND])
    assert warnings(run(made, tmp_path)) == []


def test_only_in_scope_events_are_looked_at(tmp_path: Path) -> None:
    made = reading("payload.country").with_intent(filters={"event_types": ["login"]})
    assert warnings(run(made, tmp_path))[0].startswith(
        "g__spend_1h: no in-scope event has payload.country; the nearest"
    )


def test_conditions_keys_and_kept_values_are_told_with_the_columns_that_they_empty(tmp_path: Path) -> None:
    declined = {"name": "declined", "aggregate": "count", "where": {"not": {"path": "payload.contry", "eq": "DE"}}}
    shop = group({"name": "count", "aggregate": "count"}, SPEND, name="shop", key=["payload.shop"])
    ratio = {"name": "share", "ratio": ["amount", "spend_1h"]}
    card = group(declined, SPEND, derived=[ratio])
    own = {"anchor": [{"name": "town", "path": "payload.geo.town", "type": "string"}], "keep_keys": True}
    found = run(replace(world(EVENTS), profile=profile(card, shop, **own)), tmp_path)
    told = {one["path"]: (one["column"], one["columns"]) for one in found.manifest["replay"]["unseen_fields"]}
    assert told == {
        "payload.contry": ("g__declined_1h", 1),
        "payload.shop": ("key__shop__shop", 3),
        "payload.geo.town": ("anchor__town", 1),
    }
    (shop_told,) = (one for one in warnings(found) if "payload.shop" in one)
    assert shop_told.startswith("key__shop__shop and 2 more: no in-scope event has payload.shop; the nearest name is")


def test_a_derived_column_over_an_empty_one_is_counted(tmp_path: Path) -> None:
    made = reading("payload.sum", derived=[{"name": "share", "ratio": ["amount", "count_1h"]}])
    (told,) = run(made, tmp_path).manifest["replay"]["unseen_fields"]
    assert (told["column"], told["columns"]) == ("g__spend_1h", 2)


def test_a_value_that_may_not_be_missing_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    no = refused(reading("payload.amuont", missing="fail"), tmp_path)
    assert no.code == "FEATURE_VALUE_INVALID"
    assert no.message.endswith("; no in-scope event has payload.amuont; the nearest name is payload.amount")
    assert no.details["nearest"] == "payload.amount"
    present = refused(reading("payload.country", missing="fail"), tmp_path / "present")
    assert "nearest" not in present.details


def test_it_is_part_of_what_verifies_and_said_by_every_answer(tmp_path: Path) -> None:
    written = write_world(reading("payload.amuont"), tmp_path)
    first = build(written)
    assert verify(written, first) == []
    intent = json.loads(written.intent.read_bytes()) | {"request_id": "another.request.0002"}
    again = build(written, intent=json.dumps(intent).encode())
    assert (again.published["outcome"], warnings(again)) == ("ALREADY_PUBLISHED", warnings(first))
    people = run_command("--wiring", str(written.wiring), "--quiet", "build", str(written.intent))
    assert "payload.amuont" in people.stdout
    path = written.root / first.published["manifest_ref"]
    manifest = json.loads(path.read_bytes())
    manifest["replay"].pop("unseen_fields")
    path.write_text(json.dumps(manifest))
    assert "replay" in {check["name"] for check in verify(written, first)}


def test_a_name_is_found_among_hostile_ones(tmp_path: Path) -> None:
    hostile = {"\\ud800": 1, "x" * 5000: 1, "": 1, "amont\\u001b[31m": 1, **{f"n{i}": "7" * 5000 for i in range(30)}}
    payload = ",".join(f'"{name}":{value}' for name, value in hostile.items())
    rows = f'event|time|card|more\ne0|10:00|"A"|1,{payload}'
    found = run(world(rows, features=[SPEND]), tmp_path)
    (told,) = warnings(found)
    assert told.endswith('the nearest name is payload."amont\\u001b[31m"')
