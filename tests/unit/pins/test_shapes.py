"""Profiles of odd shapes are refused with a pointer, like any other fault."""

from __future__ import annotations

import pytest

from ofs_spark.foundation.errors import Refusal
from tests.spec.test_profile import CORE, G0, G1, edited, faults, read

COUNT = "name: fresh, aggregate: count"
ODD_SHAPES = {
    "a mapping as group name": ("terminal@v2]", "{a: b}]", "/feature_sets/0/groups/1"),
    "a list as aggregate": (COUNT, "name: fresh, aggregate: [count]", f"{G1}/features/1/aggregate"),
    "a list as window": ("merchant, windows: [7d]", "merchant, windows: [[7d]]", f"{G0}/features/4/windows/0"),
    "windows left empty": ("merchant, windows: [7d]", "merchant, windows: null", f"{G0}/features/4/windows"),
}


@pytest.mark.parametrize(("old", "new", "pointer"), ODD_SHAPES.values(), ids=ODD_SHAPES.keys())
def test_an_odd_shape_is_a_fault_too(old: str, new: str, pointer: str) -> None:
    assert pointer in faults(edited(old, new))


def test_a_set_declared_twice_is_ambiguous() -> None:
    again = "  - {feature_set_id: card_fraud, feature_set_version: v3, groups: [terminal@v2]}\nfeature_groups:"
    assert "twice" in faults(edited("feature_groups:", again))["/feature_sets"]


@pytest.mark.parametrize("windows", ["[{window: 1h}]", "3", "[1h]"])
def test_every_group_of_a_platform_file_is_judged_for_its_digest_holds_them_all(windows: str) -> None:
    other = f"  - {{name: other, version: v1, windows: {windows}}}\n"
    with pytest.raises(Refusal, match="/feature_groups/1/windows"):
        read(CORE + other, "v1", "core_features")
