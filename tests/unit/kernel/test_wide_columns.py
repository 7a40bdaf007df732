"""Wide decimals come as text and become words without a Python integer a row."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ofs_spark.features.group_rows import read_wide_integers
from ofs_spark.features.kernel.words import read_integer

TEXTS = ["1", None, "-" + "9" * 38, "9" * 38, "-1", "0", str(2**64)]
NUMBERS = [0 if text is None else int(text) for text in TEXTS]


def read(column: pa.ChunkedArray) -> list[int]:
    words = read_wide_integers(column)
    assert words.shape == (len(column), 2)
    return [read_integer(words, row) for row in range(len(words))]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_texts_of_up_to_38_digits(type_: pa.DataType) -> None:
    texts = pa.array(TEXTS, type_)
    assert read(pa.chunked_array([texts])) == NUMBERS
    assert read(pa.chunked_array([texts.slice(2, 2)])) == NUMBERS[2:4]
    assert read(pa.chunked_array([texts.slice(1, 3), texts.slice(4)])) == NUMBERS[1:]


def test_nothing_to_read() -> None:
    assert read(pa.chunked_array([], pa.string())) == []
    assert read(pa.chunked_array([pa.nulls(2, pa.string())])) == [0, 0]
