"""What a model learns from: which rows, which columns, of which types, and what is said of the rest."""

from __future__ import annotations

import copy
import logging
import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ofs_spark.api.dataset import Dataset
from ofs_spark.pins.columns import BOOL, INT64, STRING, Column, name_decimal, name_list
from tests.unit.api.make import COLUMNS, FRAUD, make_dataset, row

POSITIVE = ["FRAUD_CONFIRMED"]
ROWS = [
    row("e0", "10:00:00", "FRAUD_CONFIRMED", card__count=3, card__mean=1.5),
    row("e1", "10:00:01", None, card__count=4, card__mean=2.5),
    row("e2", "10:00:02", "LEGIT_CONFIRMED", card__count=None, card__mean=None),
    row("e3", "10:00:03", "FRAUD_SUSPECTED", card__count=2**53 + 1, card__mean=-0.25),
]
ANCHOR: Any = "anchor"
MORE = (
    *COLUMNS,
    Column("anchor__amount", name_decimal(2, 12), ANCHOR, "m"),
    Column("anchor__country", STRING, ANCHOR, "m"),
    Column("card__declined", BOOL, "feature", "m"),
    Column("card__last", STRING, "feature", "m"),
    Column("card__last3", name_list(INT64), "feature", "m"),
    Column("sample_weight", "double", "split", "m"),
    Column("split", STRING, "split", "m"),
    Column("_offset", STRING, "lineage", "m"),
)


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset(ROWS)


@pytest.fixture
def wide() -> Dataset:
    more = {"anchor__country": "GB", "card__declined": True, "card__last": "shop", "card__last3": [1, None]}
    weighed = [
        {**one, **more, "anchor__amount": Decimal("12.34"), "sample_weight": 2.0, "split": "train"} for one in ROWS
    ]
    weighed[2] |= dict.fromkeys(("anchor__amount", "card__declined", "card__last", "card__last3"))
    return make_dataset(weighed, MORE)


def test_resolved_rows_are_given_and_the_others_counted(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ofs_spark"):
        X, y = given = dataset.X_y(FRAUD, positive=POSITIVE)  # noqa: N806
    assert list(X.columns) == ["card__count", "card__mean"]
    assert y.tolist() == [1, 0, 0]
    assert (y.dtype, y.name, given.dropped, given.weights) == (np.dtype("int8"), FRAUD, 1, None)
    assert X.index.equals(y.index)
    assert caplog.messages == [f"1 of 4 rows left out: the label {FRAUD} is unresolved"]
    assert repr(given) == "<3 rows of 2 columns, 1 positive; 1 unresolved dropped>"


def test_numbers_are_floats_and_null_is_nan(dataset: Dataset) -> None:
    X, _ = dataset.X_y(FRAUD, positive=POSITIVE)  # noqa: N806
    assert set(X.dtypes) == {np.dtype("float64")}
    assert X["card__mean"].tolist()[::2] == [1.5, -0.25]
    assert X.isna().sum().tolist() == [1, 1]
    assert X["card__count"][2] == float(2**53)


def test_several_values_may_be_positive_and_one_need_not_be_in_a_list(dataset: Dataset) -> None:
    assert dataset.X_y(FRAUD, positive=["FRAUD_CONFIRMED", "FRAUD_SUSPECTED"]).y.tolist() == [1, 0, 1]
    assert dataset.X_y(f"label__{FRAUD}", positive="LEGIT_CONFIRMED").y.tolist() == [0, 1, 0]


def test_nothing_is_said_where_every_label_is_resolved(caplog: pytest.LogCaptureFixture) -> None:
    given = make_dataset(ROWS[2:]).X_y(FRAUD, positive=POSITIVE)
    assert (given.dropped, given.y.tolist(), caplog.messages) == (0, [0, 0], [])


def test_a_dataset_without_a_resolved_label_gives_no_row() -> None:
    given = make_dataset([ROWS[1]]).X_y(FRAUD, positive=POSITIVE)
    assert (given.X.shape, given.y.dtype, given.dropped) == ((0, 2), np.dtype("int8"), 1)


def test_columns_are_found_by_their_role(wide: Dataset) -> None:
    features = ("card__count", "card__mean", "card__declined", "card__last", "card__last3")
    assert wide.features == features
    assert (wide.anchor, wide.keys) == (("anchor__amount", "anchor__country"), ("event_id", "ts_utc"))
    assert wide.weights == ("sample_weight",)
    assert wide.labels == tuple(column.name for column in COLUMNS if column.role == "label")
    assert wide.columns == tuple(column.name for column in MORE)
    assert tuple(wide.X_y(FRAUD, positive=POSITIVE).X.columns) == features
    assert tuple(wide.X_y(FRAUD, positive=POSITIVE, anchor=True).X.columns) == (*features, *wide.anchor)


def test_each_type_becomes_what_a_model_takes(wide: Dataset) -> None:
    given = wide.X_y(FRAUD, positive=POSITIVE, anchor=True)
    X = given.X  # noqa: N806
    assert list(X.select_dtypes("number")) == ["card__count", "card__mean", "card__declined", "anchor__amount"]
    assert X["anchor__amount"][0] == 12.34
    assert X["card__declined"].tolist()[::2] == [1.0, 1.0]
    assert bool(X["card__declined"].isna()[1])
    assert X["card__last"].tolist()[::2] == ["shop", "shop"]
    assert X["card__last3"][1] is None
    assert given.weights is not None
    assert given.weights.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("label", "positive", "says"),
    [
        (
            "fraud_dispositon",
            POSITIVE,
            "no label 'fraud_dispositon'; it has fraud_disposition: was fraud_disposition meant",
        ),
        ("chargeback_status", POSITIVE, r"no label 'chargeback_status'; it has fraud_disposition$"),
        (f"label__{FRAUD}__status", POSITIVE, "no label"),
        (FRAUD, [], "positive names no value; .*FRAUD_CONFIRMED, FRAUD_SUSPECTED, LEGIT_CONFIRMED"),
        (FRAUD, ["FRAUD"], "never has the value 'FRAUD'; it has FRAUD_CONFIRMED"),
        (FRAUD, ["fraud_confirmed"], "was FRAUD_CONFIRMED meant"),
        (FRAUD, ["FRAUD_CONFIRMED", 1], "never has the value 1"),
    ],
)
def test_a_label_or_value_that_is_none_is_named_with_the_nearest(
    label: str, positive: Any, says: str, dataset: Dataset
) -> None:
    with pytest.raises(ValueError, match=says):
        dataset.X_y(label, positive=positive)


def test_a_dataset_without_labels_says_so() -> None:
    unlabelled = make_dataset([row("e0", "10:00:00")], COLUMNS[:4])
    with pytest.raises(ValueError, match="was built without labels"):
        unlabelled.X_y(FRAUD, positive=POSITIVE)


def test_rows_travel_to_other_processes_and_are_copied(dataset: Dataset) -> None:
    given = dataset.X_y(FRAUD, positive=POSITIVE)
    for other in (pickle.loads(pickle.dumps(given)), copy.copy(given)):
        assert (other.dropped, other.weights, other.y.tolist()) == (1, None, [1, 0, 0])
        pd.testing.assert_frame_equal(other.X, given.X)


def test_lists_and_decimals_are_whole_in_every_library(wide: Dataset) -> None:
    stored = wide.arrow().to_pylist()
    assert wide.polars().to_dicts() == stored
    frame = wide.pandas()
    first = frame["card__last3"][0]
    assert (first[0], np.isnan(first[1]), len(first)) == (1, True, 2)
    assert frame["anchor__amount"].tolist()[:2] == [Decimal("12.34")] * 2
    assert frame["card__count"].tolist()[3] == 2**53 + 1
    assert frame["card__count"][2] is pd.NA
    assert frame["card__declined"][2] is pd.NA
    assert frame["card__last3"][2] is None
