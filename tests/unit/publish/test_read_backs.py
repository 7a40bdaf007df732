"""What stands where a document is written: a larger object than the writer's own is another, and is not read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import OwnedRef
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.publish.commit import commit, require_committed
from ofs_spark.publish.delta_log import read_log
from ofs_spark.publish.evidence import write_once
from ofs_spark.publish.file_list import FileList, put_staged, read_file_list
from ofs_spark.signals.write import SignalWriter
from tests.spec.intents import ROOT

REF = OwnedRef("a/b.json")
LOG = OwnedRef("t/_delta_log/00000000000000000000.json")
MANIFEST = json.loads((ROOT / "contracts/examples/valid/learning.dataset_manifest.v1/training_ready.json").read_text())


def put_manifest(objects: Objects) -> None:
    require_committed(commit(objects, REF, MANIFEST, pause=lambda _: None), REF, MANIFEST)


REFUSED: dict[str, tuple[Callable[[Objects], object], str]] = {
    "evidence": (lambda objects: write_once(objects, REF, {"a": 1}), "EVIDENCE_IMMUTABILITY_VIOLATION"),
    "a staged file": (lambda objects: put_staged(objects, REF, b"rows"), "MATERIALIZATION_CORRUPT"),
    "the manifest": (put_manifest, "MANIFEST_IMMUTABILITY_VIOLATION"),
    "the file list": (
        lambda objects: read_file_list(objects, FileList(REF, "0" * 64, 1, 1), []),
        "MATERIALIZATION_CORRUPT",
    ),
    "the table's log": (lambda objects: read_log(objects, "t"), "MATERIALIZATION_CORRUPT"),
}


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """A store in which a terabyte, which no memory holds, stands wherever these tests look."""
    made = LocalObjects.at(tmp_path)
    for ref in (REF, LOG):
        made.put_if_absent(ref, b"")
        os.truncate(made.locate(ref), 1 << 40)
    return made


@pytest.mark.parametrize("name", REFUSED)
def test_a_terabyte_where_a_document_should_stand_is_refused_unread(name: str, objects: Objects) -> None:
    write, code = REFUSED[name]
    with pytest.raises(Refusal) as caught:
        write(objects)
    assert caught.value.code == code


def test_a_signal_is_written_over_a_terabyte(objects: Objects) -> None:
    fact = json.loads((ROOT / "contracts/examples/valid/ofs.plan_index.v1/entry.json").read_text())
    writer = SignalWriter(objects, lambda _room, _doing: None)
    writer.write(REF, fact, once=True)
    assert writer.written == {REF: "WRITTEN"}
    assert json.loads(objects.read(REF, 1 << 20)) == fact
