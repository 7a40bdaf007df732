"""The one table of aggregates is closed: what it says is computed has a kernel, an oracle and a spec, and nothing else has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ofs_spark.features.kernel.aggregates import KERNELS
from ofs_spark.foundation.errors import Refusal
from ofs_spark.pins.profile.aggregates import AGGREGATES, COMPUTED, OPERATIONS, OPERATIONS_NOT_YET, Aggregate
from ofs_spark.pins.profile.compile import compile_profile
from tests.oracle.features import OVER_EVENTS, OVER_VALUES
from tests.spec.tables import aggregates, windows
from tests.worlds.model import profile

NAMES = {aggregate.name for aggregate in COMPUTED}
LATER = "not computed by this release"


def groups_with_rows() -> Iterator[dict[str, Any]]:
    """Groups of the spec tables that show what comes out."""
    for case in (*aggregates.CASES.values(), *windows.CASES.values()):
        if case.rows:
            yield from case.world.profile["feature_groups"]


def test_every_computed_aggregate_has_a_kernel_an_oracle_and_a_spec_table_and_no_other_has() -> None:
    shown = {feature["aggregate"] for group in groups_with_rows() for feature in group["features"]}
    assert set(KERNELS) == {*OVER_VALUES, *OVER_EVENTS} == shown == NAMES


def test_every_operation_has_a_spec_table() -> None:
    derived = [one for group in groups_with_rows() for one in group.get("derived", [])]
    assert {key for one in derived for key in one if key != "name"} == set(OPERATIONS)


@pytest.mark.parametrize("aggregate", COMPUTED, ids=lambda aggregate: aggregate.name)
def test_an_entry_is_whole(aggregate: Aggregate) -> None:
    assert aggregate.meaning
    assert ("{value}" in aggregate.meaning) == (aggregate.value == "required")
    assert (aggregate.kinds == ()) == (aggregate.value == "absent")
    assert aggregate.value == "required" or not (
        aggregate.unit == "value" or aggregate.has_empty or aggregate.has_exact
    )


def faults_of(feature: dict[str, Any], **group: Any) -> dict[str, str]:
    """Pointer within the group → message."""
    values = {"v": {"path": "payload.v", "type": "int"}}
    document = {"name": "g", "version": "v1", "key": ["payload.card"], "values": values, "features": [feature], **group}
    with pytest.raises(Refusal) as refused:
        compile_profile(profile(document), "world", "v1")
    return {f["pointer"].removeprefix("/feature_groups/0"): f["message"] for f in refused.value.details["faults"]}


@pytest.mark.parametrize("name", sorted(set(AGGREGATES) - NAMES))
def test_an_aggregate_of_a_later_release_is_known_with_its_keys(name: str) -> None:
    keys = dict.fromkeys(AGGREGATES[name].keys, 3)
    feature = {"name": "f", "aggregate": name, "value": "v", **keys}
    assert faults_of(feature) == {"/features/0/aggregate": f"{name} is {LATER}"}


@pytest.mark.parametrize("name", OPERATIONS_NOT_YET)
def test_an_operation_of_a_later_release_is_known(name: str) -> None:
    derived = [{"name": "d", name: ["v", "f"]}]
    faults = faults_of({"name": "f", "aggregate": "count"}, derived=derived)
    assert faults == {f"/derived/0/{name}": f"{name} is {LATER}"}


def test_people_are_told_the_names_of_the_table() -> None:
    faults = faults_of({"name": "f", "aggregate": "median", "empty": "zero", "output": "exact"})
    assert faults == {
        "/features/0/aggregate": "is 'median'; known are count, sum, mean, min, max, stddev_pop, stddev_samp, "
        "count_distinct, first, last, rate, time_since_first, time_since_previous",
        "/features/0/empty": "is for sum alone, null or zero",
        "/features/0/output": "is exact, for sum, min, max, first and last of a decimal or int",
    }
