"""The object stores: one contract, the folder and its in-memory twin."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ofs_spark.foundation.errors import PinsRefused
from ofs_spark.foundation.objects import ObjectMissing, Objects, Put
from ofs_spark.io.objects import LocalObjects, MemoryObjects


@pytest.fixture(params=["folder", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    return LocalObjects.at(tmp_path / "root") if request.param == "folder" else MemoryObjects()


def test_first_put_creates_and_the_second_changes_nothing(objects: Objects) -> None:
    assert objects.put_if_absent("a/b.json", b"one") is Put.CREATED
    assert objects.put_if_absent("a/b.json", b"two") is Put.EXISTS
    assert objects.read("a/b.json") == b"one"


def test_equal_bytes_are_no_second_creation(objects: Objects) -> None:
    objects.put_if_absent("a", b"same")
    assert objects.put_if_absent("a", bytes(bytearray(b"same"))) is Put.EXISTS


def test_replace_replaces(objects: Objects) -> None:
    objects.replace("v", b"1")
    objects.replace("v", b"2")
    assert objects.read("v") == b"2"


def test_missing_object_is_named(objects: Objects) -> None:
    assert not objects.exists("no/such")
    with pytest.raises(ObjectMissing, match="no/such"):
        objects.read("no/such")


@pytest.mark.parametrize(
    "ref",
    [
        "../x",
        "a/../x",
        "a//b",
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "s3://other/x",
        "http://h/x",
        "a/./b",
        "a\x00b",
        "a\\b",
        "a/*",
        "a?b",
        "{a,b}",
        "%2e%2e/x",
        "a\u200bb",
        "x" * 2000,
    ],
)
def test_refs_outside_the_root_are_refused(objects: Objects, ref: str) -> None:
    with pytest.raises(PinsRefused, match="REF_SCOPE_INVALID"):
        objects.read(ref)


def test_a_symbolic_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    objects = LocalObjects.at(tmp_path / "root")
    os.symlink(tmp_path / "secret", tmp_path / "root" / "link")
    with pytest.raises(PinsRefused, match="symbolic link"):
        objects.read("link")


def test_a_full_address_inside_the_root_is_the_same_ref(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path / "root")
    objects.put_if_absent("a/b", b"x")
    assert objects.read(objects.locate("a/b")) == b"x"
    assert objects.relative(f"file://{objects.root}/a/b") == "a/b"


def test_of_racing_writers_one_creates(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path / "root")
    for turn in range(20):
        outcomes: list[Put] = []
        writers = [
            threading.Thread(
                target=lambda body=body, turn=turn, outcomes=outcomes: outcomes.append(
                    objects.put_if_absent(f"r/{turn}", body)
                )
            )
            for body in (b"a", b"b", b"c", b"d")
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert sorted(o.value for o in outcomes) == ["created", "exists", "exists", "exists"]
    assert not list((tmp_path / "root" / "r").glob(".put-*"))
