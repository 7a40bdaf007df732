"""What is said of the columns is whole, said in one place, and in the words of the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.intake.declared import read_declared
from tests.unit.intake.worlds import EVENTS, LABELS, write_text

WHOLE: dict[str, Any] = {**EVENTS, "events": Path("e.csv")}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"events": None}, "--events is required"),
        ({"time": None}, "--time is required"),
        ({"id": None}, "one of --id and --id-from"),
        ({"id-from": ["a"]}, "one of --id and --id-from"),
        ({"type": "kind"}, "one of --type and --type-is"),
        ({"type-is": None}, "one of --type and --type-is"),
        ({"type-is": " x"}, "--type-is: a line of text"),
        ({"arrival": "id"}, "--arrival and --id name one column"),
        ({"arrival": "k", "key": ["k"]}, "--arrival and --key name one column"),
        ({"partition": "p"}, "--partition is given without --offset"),
        ({"offset": "o", "partition-by": "p"}, "--partition-by is given beside --offset"),
        ({"offset": "k", "key": ["k"]}, "--offset and --key name one column"),
        ({"id": ""}, "--id: a name that is text"),
        ({"key": ["a", "\ud800"]}, "--key: a name that is text"),
        ({"key": [f"k{number}" for number in range(56)]}, "--key: a profile has 55 groups"),
        ({"label-event": "x"}, "--label-event is given without --labels"),
        ({"label-effective": "x"}, "--label-effective is given without --labels"),
        ({"label-separator": "tab"}, "--label-separator is given without --labels"),
        ({"labels": Path("l.csv")}, "--labels needs --label-event"),
        ({"labels": Path("l.csv"), **LABELS, "label-value": None}, "--labels needs --label-value"),
        ({"labels": Path("l.csv"), **LABELS, "label-type": "fraud"}, "the nearest is fraud_disposition"),
        ({"labels": Path("l.csv"), **LABELS, "label-map": {"1": "FRAUD"}}, "FRAUD is no value of fraud_disposition"),
    ],
)
def test_what_is_left_out_or_contradicted_is_wrong_use(change: dict[str, Any], says: str) -> None:
    with pytest.raises(WrongArgument, match=says):
        read_declared({**WHOLE, **change}, None)


MAP = """\
events: data/e.csv
id: tx
time: at
type-is: payment
key: [customer, card.id]
labels: data/l.csv
label-event: tx
label-type: fraud_disposition
label-value: fraud
label-observed: seen
label-map: {1: FRAUD_CONFIRMED, "0": LEGIT_CONFIRMED}
"""


def test_a_map_says_the_same_as_options(tmp_path: Path) -> None:
    found = read_declared({}, write_text(tmp_path / "map.yaml", MAP))
    assert found.events.file == tmp_path / "data/e.csv"
    assert found.events.keys == ("customer", "card.id")
    assert found.labels is not None
    assert found.labels.values == {"1": "FRAUD_CONFIRMED", "0": "LEGIT_CONFIRMED"}
    options = {
        "events": Path("/elsewhere/e.csv"),
        "id": "tx",
        "time": "at",
        "type-is": "payment",
        "key": ["customer", "card.id"],
    }
    labels = {**LABELS, "labels": Path("l.csv"), "label-event": "tx", "label-value": "fraud"}
    pairs = {"label-map": {"1": "FRAUD_CONFIRMED", "0": "LEGIT_CONFIRMED"}}
    assert read_declared({**options, **labels, **pairs}, None).digest == found.digest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MAP, "--id is given, and .* states id too"),
        ("ids: x", "ids: there is no such name; the nearest is id"),
        ("key: customer", "key must be a list of columns"),
        ("time: [a]", "time must be a text"),
        ("label-map: [a]", "label-map must be a mapping"),
        ("- a", "no mapping"),
        ("a: [", "not YAML"),
        ("a: 1\na: 2", "appears twice"),
    ],
)
def test_a_map_that_clashes_or_is_none(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(WrongArgument, match=says):
        read_declared({"id": "tx"}, write_text(tmp_path / "map.yaml", text))


def test_a_map_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WrongArgument, match="cannot read the map"):
        read_declared({}, tmp_path / "nowhere.yaml")
