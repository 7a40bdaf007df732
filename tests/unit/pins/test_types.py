"""Which type an aggregate takes, and which type of column it gives."""

from __future__ import annotations

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.profile.compile import Profile, read_profile

KINDS: dict[str, tuple[str, ...]] = {
    "count": ("decimal(9,2)", "int", "double", "string", "bool"),
    "count_distinct": ("decimal(9,2)", "int", "double", "string", "bool"),
    "sum": ("decimal(9,2)", "int"),
    "mean": ("decimal(9,2)", "int"),
    "first": ("decimal(9,2)", "int", "double", "string", "bool"),
    "last": ("decimal(9,2)", "int", "double", "string", "bool"),
    "min": ("decimal(9,2)", "int", "double", "string", "bool"),
    "max": ("decimal(9,2)", "int", "double", "string", "bool"),
    "stddev_pop": ("decimal(9,2)", "int"),
    "stddev_samp": ("decimal(9,2)", "int"),
}
OWN_TYPE = {"string": "string", "bool": "bool"}


def read(text: str, version: str, name: str) -> Profile:
    return read_profile(MemoryObjects({f"{name}.yaml": text.encode()}), name, version)


def one_feature(feature: str, type_: str) -> str:
    return f"""
policy_id: p
revision: r
feature_groups:
  - {{name: g, version: v1, key: [payload.card], values: {{x: {{path: payload.x, type: "{type_}"}}}}, features: [{feature}]}}
"""


@pytest.mark.parametrize("aggregate", KINDS)
@pytest.mark.parametrize("type_", KINDS["count"])
def test_which_type_an_aggregate_takes_and_gives(aggregate: str, type_: str) -> None:
    text = one_feature(f"{{name: f, aggregate: {aggregate}, value: x}}", type_)
    if type_ not in KINDS[aggregate]:
        with pytest.raises(Refusal, match=f"{aggregate} is not defined for"):
            read(text, "v1", "g")
        return
    (column,) = read(text, "v1", "g").program.feature_columns
    given = "int64" if aggregate.startswith("count") else "double"
    kept = OWN_TYPE.get(type_) if aggregate in ("min", "max", "first", "last") else None
    assert (column.name, column.type) == ("g__f", kept or given)


@pytest.mark.parametrize("aggregate", ["sum", "min", "max", "first", "last"])
@pytest.mark.parametrize(("type_", "kept"), [("int", "decimal128(38, 0)"), ("decimal(9,4)", "decimal128(38, 4)")])
def test_output_exact_keeps_the_number(aggregate: str, type_: str, kept: str) -> None:
    text = one_feature(f"{{name: f, aggregate: {aggregate}, value: x, output: exact}}", type_)
    (column,) = read(text, "v1", "g").program.feature_columns
    assert column.type == kept
