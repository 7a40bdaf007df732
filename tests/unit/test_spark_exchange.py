"""Chunks in files on one machine: what is read at once takes no descriptor each, and nothing stays open behind it."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from ofs_spark.io.spark_exchange import InFiles

DESCRIPTORS = Path("/proc/self/fd")


def test_chunks_in_files_are_mapped_together_and_let_go_together(tmp_path: Path) -> None:
    exchange = InFiles(str(tmp_path))
    first = [pa.py_buffer(exchange.pack(b"%d" % number)) for number in range(2_000)]
    before = len(os.listdir(DESCRIPTORS))
    chunks = [exchange.unpack(place) for place in first]
    assert len(os.listdir(DESCRIPTORS)) == before + 1
    later = pa.py_buffer(exchange.pack(b"later"))  # by the same worker, behind what is mapped
    assert [int(bytes(chunk)) for chunk in chunks] == list(range(2_000))
    assert bytes(exchange.unpack(later)) == b"later"
    del chunks
    assert len(os.listdir(DESCRIPTORS)) == before
    assert exchange.unpack(pa.py_buffer(exchange.pack(b""))) == b""
