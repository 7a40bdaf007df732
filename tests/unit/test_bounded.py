"""A Parquet file is decoded as far as it is allowed to be, whatever it states of itself."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.columnar.bounded import _read_page_size, read_bounded
from ofs_spark.foundation.columnar.stored_columns import has_no_value
from ofs_spark.foundation.errors import Refusal


def written(table: pa.Table, **settings: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **settings)
    return sink.getvalue()


def read(body: bytes, most: int, columns: list[str] | None = None) -> pa.Table:
    return read_bounded(pq.ParquetFile(pa.BufferReader(body)), body, "a.parquet", columns, most)


def repeated(text: str, rows: int) -> pa.Table:
    codes = pa.array(np.zeros(rows, np.int32))
    return pa.table({"a": pa.DictionaryArray.from_arrays(codes, pa.array([text]))}).cast(
        pa.schema([("a", pa.dictionary(pa.int32(), pa.string()))])
    )


BOMBS = {
    "one text repeated": lambda: written(repeated("x" * 20_000, 100_000), compression="zstd", store_schema=False),
    "one short text": lambda: written(repeated("x", 40_000_000), compression="zstd", store_schema=False),
    "zeros": lambda: written(pa.table({"a": np.zeros(40_000_000, np.int64)}), compression="zstd"),
    "nulls": lambda: written(pa.table({"a": pa.nulls(40_000_000, pa.string())}), compression="zstd"),
    "one large value": lambda: written(pa.table({"a": ["x" * 300_000_000]}), compression="zstd", use_dictionary=False),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_takes_the_memory(name: str) -> None:
    body, most = BOMBS[name](), 128 * 1024**2
    assert len(body) < 1024**2
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(Refusal, match="RESOURCE_EXCEEDED") as refused:
        read(body, most)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.details["found"] > refused.value.details["allowed"] == most
    assert peak < most
    assert pa.total_allocated_bytes() - before < 4 * most


@pytest.mark.parametrize("rows", [0, 1, 5_000])
@pytest.mark.parametrize("most", [1 << 20, 1 << 33])
def test_an_honest_file_is_read_the_same_in_batches_and_at_once(rows: int, most: int) -> None:
    texts = [f"t{n % 7}" * 3 for n in range(rows)]
    table = pa.table(
        {"a": texts, "b": range(rows), "s": pa.array([{"x": t} for t in texts], pa.struct([("x", pa.string())]))}
    )
    body = written(table, row_group_size=1_000)
    assert read(body, most).equals(pq.read_table(io.BytesIO(body)))
    assert read(body, most, ["b"]).column_names == ["b"]


def test_the_size_of_a_dictionary_is_the_one_that_its_page_states() -> None:
    body = written(pa.table({"a": ["x" * 1_000, "y" * 500] * 10}), compression="zstd")
    chunk = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0)
    assert _read_page_size(body, chunk.dictionary_page_offset) == 1_508  # two lengths of four bytes
    assert _read_page_size(body, 10**9) == _read_page_size(b"no page", 0) - len(b"no page") + len(body)


@pytest.mark.parametrize(("values", "batches"), [([7], 1), ([None], 5)], ids=["a value", "none"])
def test_a_column_that_nobody_reads_is_decoded_to_its_first_value(
    values: list[int | None], batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, taken = written(pa.table({"a": pa.array(values * 5_000, pa.int64())})), []
    iterate = pq.ParquetFile.iter_batches

    def count(*arguments: Any, **named: Any) -> Any:
        for batch in iterate(*arguments, **named):
            taken.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", count)
    assert has_no_value(pq.ParquetFile(pa.BufferReader(body)), "a") is (values == [None])
    assert len(taken) == batches
