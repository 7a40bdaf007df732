"""A Parquet file is decoded as far as it is allowed to be, whatever it states of itself."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.columnar.bounded import read_bounded
from ofs_spark.foundation.columnar.pages import PageHeaderError, read_page
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


def prefixed(version: str) -> bytes:
    """A thousand equal texts of a megabyte, each but the first stored as nothing but the length of what it repeats."""
    coding = {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}, "data_page_version": version}
    return written(pa.table({"a": ["x" * 1_000_000] * 1_000}), compression="zstd", **coding)


def misnamed() -> bytes:
    """A column `abcdefgh` whose chunk states another name: Arrow reads it by its place."""
    body = written(repeated("x" * 20_000, 100_000).rename_columns(["abcdefgh"]), compression="zstd", store_schema=False)
    schema, chunk, rest = body.split(b"abcdefgh")
    return schema + b"abcdefgh" + chunk + b"zzzzzzzz" + rest


BOMBS: dict[str, Callable[[], bytes]] = {
    "one text repeated": lambda: written(repeated("x" * 20_000, 100_000), compression="zstd", store_schema=False),
    "one short text": lambda: written(repeated("x", 40_000_000), compression="zstd", store_schema=False),
    "zeros": lambda: written(pa.table({"a": np.zeros(40_000_000, np.int64)}), compression="zstd"),
    "nulls": lambda: written(pa.table({"a": pa.nulls(40_000_000, pa.string())}), compression="zstd"),
    "one large value": lambda: written(pa.table({"a": ["x" * 300_000_000]}), compression="zstd", use_dictionary=False),
    "one large value repeated": lambda: written(repeated("x" * 100_000_000, 1_000), compression="zstd"),
    "one prefix repeated": lambda: prefixed("1.0"),
    "one prefix repeated, in pages of version 2": lambda: prefixed("2.0"),
    "a text that the footer names otherwise": misnamed,
    "lists of one text": lambda: written(
        pa.table({"a": pa.ListArray.from_arrays([0, 3_000_000], repeated("x" * 1_000, 3_000_000)["a"].chunk(0))}),
        compression="zstd",
        store_schema=False,
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_takes_the_memory(name: str) -> None:
    body, most = BOMBS[name](), 128 * 1024**2
    assert len(body) < 1024**2
    previous = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(previous)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        with pytest.raises(Refusal, match="RESOURCE_EXCEEDED") as refused:
            read(body, most, ["abcdefgh"] if b"abcdefgh" in body else None)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        pa.set_memory_pool(previous)
    assert refused.value.details["found"] > refused.value.details["allowed"] == most
    assert peak < most
    assert pool.max_memory() < 4 * most


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
    assert has_no_value(pq.ParquetFile(pa.BufferReader(body)), body, "a.parquet", 1 << 20, "a") is (values == [None])
    assert len(taken) == batches


def encode_varint(number: int, width: int) -> bytes:
    """A zigzag number in exactly `width` bytes: readers take zeros that need not be there."""
    rest = number << 1
    return bytes([rest >> 7 * i & 0x7F | 0x80 * (i < width - 1) for i in range(width)])


def lie(body: bytes, told: int, lies: int, *, in_footer: bool) -> bytes:
    """The file with one size replaced by another, wherever its footer or else its pages state it."""
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    parts = [body[:footer], body[footer:]]
    assert encode_varint(told, 5) in parts[in_footer]
    parts[in_footer] = parts[in_footer].replace(encode_varint(told, 5), encode_varint(lies, 5))
    return b"".join(parts)


def test_a_row_group_without_one_of_the_columns_is_unreadable() -> None:
    body = written(pa.table({"a": ["x"]}), use_dictionary=False, store_schema=False)
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    root, order = b"schema\x15", b"\x1c\x00\x00"
    before, after = body[footer:-8].split(root + b"\x02\x00")
    column, rest = after[: after.index(b"\x16")], after[after.index(b"\x16") :]  # up to the number of rows
    two = before.replace(b"\x19\x2c", b"\x19\x3c") + root + b"\x04\x00" + column + column.replace(b"a", b"b")
    two += rest.replace(b"\x19\x1c" + order, b"\x19\x2c" + order * 2)
    less = body[:footer] + two + len(two).to_bytes(4, "little") + b"PAR1"
    assert pq.read_metadata(pa.BufferReader(less)).num_columns == 2
    assert read(less, 1 << 20, ["a"]).column_names == ["a"]
    with pytest.raises(PageHeaderError, match="no column b"):
        read(less, 1 << 20)


LARGE = 300_000_000


def test_a_footer_that_hides_what_its_pages_hold_is_refused() -> None:
    body = written(pa.table({"a": ["x" * LARGE]}), compression="zstd", use_dictionary=False)
    chunk = pq.ParquetFile(pa.BufferReader(body)).metadata.row_group(0).column(0)
    hidden = lie(body, chunk.total_uncompressed_size, 100, in_footer=True)
    assert pq.ParquetFile(pa.BufferReader(hidden)).metadata.row_group(0).column(0).total_uncompressed_size == 100
    with pytest.raises(Refusal, match="RESOURCE_EXCEEDED") as refused:
        read(hidden, 128 << 20)
    assert refused.value.details["found"] > LARGE


def test_a_page_that_states_more_than_it_holds_is_refused_before_room_is_made_for_it() -> None:
    """Arrow makes room for what the header states, two gigabytes here, before it decodes the page."""
    body = written(pa.table({"a": ["x" * LARGE]}), compression="zstd", use_dictionary=False)
    page = read_page(body, pq.ParquetFile(pa.BufferReader(body)).metadata.row_group(0).column(0).data_page_offset)
    boasting = lie(body, page.uncompressed, 2**31 - 1, in_footer=False)
    with pytest.raises(Refusal, match="RESOURCE_EXCEEDED") as refused:
        read(boasting, 1 << 30)
    assert refused.value.details["found"] >= 2**31 - 1


def test_a_column_of_another_type_is_looked_at_within_the_bound_too() -> None:
    body = BOMBS["zeros"]()
    with pytest.raises(Refusal, match="RESOURCE_EXCEEDED"):
        has_no_value(pq.ParquetFile(pa.BufferReader(body)), body, "a.parquet", 128 << 20, "a")


def test_a_list_that_repeats_a_text_holds_something_and_is_not_decoded() -> None:
    """One row of three million texts of a thousand bytes, in some kilobytes: no batch of rows is small enough."""
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3_000_000, np.int32)), pa.array(["x" * 1_000]))
    lists = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    body = written(pa.table({"a": lists}), compression="zstd", store_schema=False)
    assert len(body) < 16_384
    pool = pa.system_memory_pool()
    previous = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        before = pool.max_memory()
        assert not has_no_value(pq.ParquetFile(pa.BufferReader(body)), body, "a.parquet", 128 << 20, "a")
        assert pool.max_memory() - before < 128 << 20
    finally:
        pa.set_memory_pool(previous)


@pytest.mark.parametrize("values", [[[], None], [None, None]], ids=["an empty list", "nothing"])
def test_a_list_column_without_a_value_is_decoded_and_told_apart(values: list[Any]) -> None:
    body = written(pa.table({"a": pa.array(values, pa.list_(pa.string()))}))
    found = has_no_value(pq.ParquetFile(pa.BufferReader(body)), body, "a.parquet", 1 << 20, "a")
    assert found is (values == [None, None])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_values_that_only_a_page_states_count(version: str) -> None:
    lists = pa.array([[None] * 200_000], pa.list_(pa.int64()))
    body = written(pa.table({"a": lists}), use_dictionary=False, data_page_version=version)
    assert read_page(body, 4).values == 200_000
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    told, lies = encode_varint(200_000, 3), encode_varint(1_000_000, 3)
    boasting = body[:footer].replace(told, lies, 1) + body[footer:]
    assert read(body, 4 << 20).num_rows == 1
    with pytest.raises(Refusal, match="RESOURCE_EXCEEDED") as refused:
        read(boasting, 4 << 20)
    assert refused.value.details["found"] == 8 * 1_000_000


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_the_pages_of_an_honest_file_hold_what_its_footer_states(version: str, compression: str) -> None:
    texts = [f"text {n % 900}" for n in range(20_000)]
    table = pa.table({"a": texts, "b": range(20_000), "c": [[n, n] for n in range(20_000)]})
    body = written(
        table, data_page_version=version, compression=compression, data_page_size=4_096, write_page_checksum=True
    )
    metadata = pq.ParquetFile(pa.BufferReader(body)).metadata
    chunks = [metadata.row_group(0).column(i) for i in range(3)]
    stated = sum(chunk.total_uncompressed_size for chunk in chunks)
    with pytest.raises(Refusal) as refused:
        read(body, stated - 1)
    assert refused.value.details["found"] == stated
    assert read_page(body, chunks[0].dictionary_page_offset).is_dictionary


OF_DATA = b"\x15\x00\x15\x00\x15\x00"
"""A data page of version 1 with no bytes; its struct follows."""
NINE, NONE, FEW = b"\x15\x12\x15\x10\x00", b"\x15\x01\x15\x10\x00", b"\x15\x02\x15\x00\x00"
"""Structs of a data page: 9 values by dictionary, -1 value, 1 value as it is."""


def test_the_struct_that_counts_is_that_of_the_page_s_type() -> None:
    page = read_page(OF_DATA + b"\x2c" + NINE + b"\x3c" + FEW + b"\x00", 0)
    assert (page.values, page.encoding) == (9, 8)


NO_HEADERS = {
    "nothing": b"",
    "a field's head": b"\x15",
    "no end": b"\x15\x00",
    "no sizes": b"\x15\x00\x00",
    "a long number": b"\x15" + b"\xff" * 20,
    "deep": b"\x1c" * 40,
    "a list": b"\x19\x00\x00",
    "text": b"no page",
    "no struct": OF_DATA + b"\x00",
    "fewer values than none": OF_DATA + b"\x2c" + NONE + b"\x00",
    "a struct twice": OF_DATA + b"\x2c" + NINE + b"\x0c\x0a" + FEW + b"\x00",
    "a field by an id of 17 bits": OF_DATA + b"\x2c" + NINE + b"\x05\x82\x80\x08\x00\x00",
    "a size of 33 bits": b"\x15\x00\x15\x80\x80\x80\x80\x20\x15\x00\x2c" + NINE + b"\x00",
}


@pytest.mark.parametrize("header", NO_HEADERS.values(), ids=NO_HEADERS)
def test_what_is_no_page_header_is_told_as_such(header: bytes) -> None:
    with pytest.raises(PageHeaderError):
        read_page(header, 0)


@pytest.mark.parametrize("place", [-1, 10**9])
def test_a_header_outside_the_file_is_none(place: int) -> None:
    with pytest.raises(PageHeaderError):
        read_page(written(pa.table({"a": [1]})), place)


def test_a_header_whose_page_is_not_all_there_is_none() -> None:
    body = written(pa.table({"a": ["x" * 100]}), use_dictionary=False)
    whole = read_page(body, 4)
    with pytest.raises(PageHeaderError, match="sizes"):
        read_page(body[: whole.begin + whole.compressed - 1], 4)
