"""What a Parquet file repeats counts by the length of what it repeats, and an honest file is read at once."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ofs_spark.foundation.columnar import repeats
from ofs_spark.foundation.columnar.pages import Page, read_page
from ofs_spark.foundation.columnar.repeats import Repeat, look_closer
from ofs_spark.foundation.errors import Refusal
from tests.unit.test_bounded import encode_varint, read, repeated, written


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_an_honest_file_whose_writer_gave_up_its_dictionary_is_read_at_once(
    compression: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the size of its dictionary, a megabyte that 27,000 codes may repeat, it decodes to 27 GB."""
    table = pa.table({"a": [f"{n:036}" for n in range(60_000)], "b": np.arange(60_000) / 7})
    body = written(table, compression=compression, data_page_version=version)
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(pq.read_metadata(io.BytesIO(body)).row_group(0).column(0).encodings)
    monkeypatch.delattr(pq.ParquetFile, "iter_batches")
    assert read(body, 8 << 20).equals(table)


def test_texts_stored_as_differences_are_read_the_same_in_batches() -> None:
    table = pa.table({"a": [f"{n // 50:036}" for n in range(60_000)]})
    body = written(table, use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"})
    assert read(body, 4 << 20).equals(table)


def test_a_dictionary_that_is_not_compressed_is_as_long_as_it_is_stored() -> None:
    """Arrow takes such a page as it stands, whatever size its header states beside."""
    body = written(repeated("x" * 20_000, 100_000), compression="none", store_schema=False)
    told, lies = encode_varint(20_004, 3), encode_varint(10, 3)
    hidden = body.replace(told, lies, 1)
    assert read_page(hidden, 4).uncompressed == 10
    assert read_page(hidden, 4).size == 20_004
    with pytest.raises(Refusal, match="RESOURCE_EXCEEDED"):
        read(hidden, 128 << 20)


@pytest.mark.parametrize("lies", [19_000, 21_000])
@pytest.mark.parametrize("compression", ["snappy", "zstd"])
def test_a_dictionary_that_lies_of_its_size_is_not_decoded(compression: str, lies: int) -> None:
    body = written(repeated("x" * 20_000, 100_000), compression=compression, store_schema=False)
    lying = body.replace(encode_varint(20_004, 3), encode_varint(lies, 3), 1)
    assert read_page(lying, 4).uncompressed == lies
    with pytest.raises((pa.ArrowException, OSError)):
        read(lying, 128 << 20)


TEXTS = b"\x02\0\0\0ab\x03\0\0\0abc\0\0\0\0"


@pytest.mark.parametrize(
    ("page", "codec", "longest"),
    [
        (TEXTS, "UNCOMPRESSED", 3),
        (TEXTS + b"\0", "UNCOMPRESSED", None),
        (TEXTS + b"\1\0\0\0", "UNCOMPRESSED", None),
        (TEXTS + b"\xff\xff\xff\xff", "UNCOMPRESSED", None),
        (TEXTS, "ZSTD", None),
        (TEXTS, "UNKNOWN", None),
    ],
    ids=["lengths and bytes", "half a length", "no bytes", "a negative length", "not compressed", "no known codec"],
)
def test_what_a_dictionary_says_of_its_texts_is_taken_where_it_can_be_read(
    page: bytes, codec: str, longest: int | None
) -> None:
    repeat = Repeat("a", 9, 100, False, Page(True, len(page), len(page), 2, 3, 0), codec)
    assert look_closer(repeat, b"\xff\xff" + page + b"\xff").longest == (longest or 100)


def test_a_dictionary_of_no_usual_size_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    repeat = Repeat("a", 9, 100, False, Page(True, len(TEXTS), len(TEXTS), 0, 3, 0), "UNCOMPRESSED")
    monkeypatch.setattr(repeats, "_MOST_LOOKED_INTO", len(TEXTS) - 1)
    assert look_closer(repeat, TEXTS) is repeat
