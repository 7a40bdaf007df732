"""The file list is found by its content."""

from __future__ import annotations

import dataclasses

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.publish.file_list import put_file_list, put_staged, read_file_list
from tests.unit.publish.tables import TYPES, stage

RUN = "platform_20260210T130700Z"


def test_a_list_is_read_back_as_written_and_does_not_depend_on_the_order_of_notes() -> None:
    objects = MemoryObjects()
    entries = stage(objects)
    listed = put_file_list(objects, RUN, entries)
    assert listed == put_file_list(objects, RUN, entries[::-1])
    assert listed.ref == f"{RUN}/ofs/files/{listed.sha256}.parquet"
    assert (listed.files, listed.bytes) == (len(entries), sum(e.bytes for e in entries))
    assert read_file_list(objects, listed, list(TYPES)) == entries


def test_a_missing_or_changed_list_is_corrupt() -> None:
    objects = MemoryObjects()
    listed = put_file_list(objects, RUN, stage(objects))
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        read_file_list(MemoryObjects(), listed, list(TYPES))
    objects.replace(listed.ref, objects.read(listed.ref) + b" ")
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        read_file_list(objects, listed, list(TYPES))
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        read_file_list(objects, dataclasses.replace(listed, sha256="00" * 32), list(TYPES))


def test_a_retried_task_finds_its_own_bytes_and_nothing_else() -> None:
    objects = MemoryObjects()
    put_staged(objects, OwnedRef("t/part"), b"one")
    put_staged(objects, OwnedRef("t/part"), b"one")
    with pytest.raises(Refusal, match="MATERIALIZATION_CORRUPT"):
        put_staged(objects, OwnedRef("t/part"), b"two")
    assert objects.read(OwnedRef("t/part")) == b"one"
