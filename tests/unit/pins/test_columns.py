"""The one table of column types: whatever needs a type has it from there, and nobody else spells one."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import Schema

from ofs_spark.foundation.errors import InternalError
from ofs_spark.pins.arrow_types import find_column_type, name_arrow_type, to_arrow_type
from ofs_spark.pins.columns import STRING, TYPES, Column, find_type, name_decimal, name_list
from ofs_spark.publish.delta_log import describe_schema
from ofs_spark.publish.digest import digest_column
from ofs_spark.publish.parquet import encode_parquet

ROOT = Path(__file__).resolve().parents[3]
PLAIN = [*TYPES, name_decimal(2), name_decimal(0), name_decimal(3, 9)]
NAMES = [*PLAIN, *(name_list(name) for name in PLAIN), name_list(name_list(STRING))]
DELTA = {
    "int64": "long", "int32": "integer", "double": "double", "string": "string", "bool": "boolean",
    "timestamp[us, tz=UTC]": "timestamp", "decimal128(38, 2)": "decimal(38,2)", "decimal128(38, 0)": "decimal(38,0)",
    "decimal128(9, 3)": "decimal(9,3)",
}  # fmt: skip
SPELLINGS = ("timestamp[us, tz=", "decimal128(", "list<")
"""What only a type's name holds; the plain names are words that mean other things elsewhere."""


def delta_types(*names: str) -> list[Any]:
    columns = [Column(f"c{i}", name, "feature", "") for i, name in enumerate(names)]
    fields = Schema.from_json(json.dumps(describe_schema(columns))).fields
    return [field.type for field in fields]


@pytest.mark.parametrize("name", NAMES)
def test_a_type_is_its_arrow_type_and_back(name: str) -> None:
    assert name_arrow_type(to_arrow_type(name)) == name
    assert find_column_type(to_arrow_type(name)) == find_type(name)
    assert find_type(name).width > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_a_type_is_digested_written_and_read_back(name: str) -> None:
    type_ = to_arrow_type(name)
    empty, nulls = pa.array([], type_), pa.nulls(3, type_)
    assert len({digest_column(column) for column in (empty, nulls, pa.nulls(2, type_))}) == 3
    stored = pa.parquet.read_table(pa.BufferReader(encode_parquet(pa.table({"c": nulls})))).column("c")
    assert name_arrow_type(stored.type) == name
    assert digest_column(stored) == digest_column(nulls)


@pytest.mark.parametrize("name", PLAIN)
def test_delta_has_the_type_and_a_list_of_it(name: str) -> None:
    plain, listed = delta_types(name, name_list(name))
    assert plain.type == listed.element_type.type == DELTA[name]
    assert listed.contains_null


def test_the_table_and_the_compiler_load_no_arrow() -> None:
    """In a process of its own: here everything is loaded already."""
    program = "import ofs_spark.pins.columns, ofs_spark.pins.profile.compile, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyarrow", "numpy", "numba"} & set(loaded)


def test_large_offsets_do_not_make_another_type() -> None:
    assert find_column_type(pa.large_list(pa.large_string())) == find_type(name_list(STRING))


@pytest.mark.parametrize(
    "name", ["uint8", "float64", "timestamp[ns, tz=UTC]", "list<>", "list<uint8>", "decimal128(38,2)", ""]
)
def test_another_name_is_no_type(name: str) -> None:
    with pytest.raises(InternalError, match="no column of type"):
        to_arrow_type(name)


@pytest.mark.parametrize("type_", [pa.uint8(), pa.timestamp("ns", "UTC"), pa.large_string()])
def test_an_arrow_type_that_no_column_has_is_named_as_arrow_names_it(type_: pa.DataType) -> None:
    assert name_arrow_type(type_) == str(type_)


def spelled_types(source: str) -> Iterator[str]:
    """Texts of a file, docstrings apart, that spell a column type; and every type that a `Column` is given as a text."""
    tree = ast.parse(source)
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield from (node.value for spelling in SPELLINGS if spelling in node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Column":
            given = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "type")]
            yield from (ast.unparse(one) for one in given if isinstance(one, ast.Constant))


def test_no_other_file_spells_a_type() -> None:
    files = {file.relative_to(ROOT).as_posix(): file for file in (ROOT / "ofs_spark").rglob("*.py")}
    found = {path: list(spelled_types(file.read_text(encoding="utf-8"))) for path, file in files.items()}
    assert [path for path, spelled in found.items() if spelled] == ["ofs_spark/pins/columns.py"]


@pytest.mark.parametrize(
    "source",
    [
        'x = "decimal128(38, 2)"',
        'x = f"list<{y}>"',
        'Column("a", "double", "feature", "")',
        'Column("a", type="int64")',
    ],
)
def test_a_file_that_spells_a_type_is_seen(source: str) -> None:
    assert len(list(spelled_types(source))) == 1
