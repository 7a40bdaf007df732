"""The object stores: one contract, the folder, its in-memory twin, and S3."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import socket
import tempfile
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.errors import PinsRefused, Refusal
from ofs_spark.foundation.ports import Clearable, ObjectMissing, Objects, ObjectTooLarge, Put, Tail
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from tests.unit.permissions import unprivileged

MOST = 1 << 20


@pytest.fixture(params=["folder", "memory", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Clearable:
    if request.param == "s3":
        s3: Clearable = request.getfixturevalue("s3_objects")
        return s3
    return LocalObjects.at(tmp_path / "root") if request.param == "folder" else MemoryObjects()


def readers(objects: Objects) -> list[Callable[[str], Any]]:
    """Every way to read an object: they answer alike where there is none to read."""
    return [
        lambda ref: objects.read(ref, MOST),
        lambda ref: objects.read_tail(ref, 4),
        lambda ref: objects.read_range(ref, 0, 4),
        objects.digest,
    ]


def test_first_put_creates_and_the_second_changes_nothing(objects: Objects) -> None:
    assert objects.put_if_absent("a/b.json", b"one") is Put.CREATED
    assert objects.put_if_absent("a/b.json", b"two") is Put.EXISTS
    assert objects.read("a/b.json", MOST) == b"one"


def test_equal_bytes_are_no_second_creation(objects: Objects) -> None:
    objects.put_if_absent("a", b"same")
    assert objects.put_if_absent("a", bytes(bytearray(b"same"))) is Put.EXISTS


def test_replace_replaces(objects: Objects) -> None:
    objects.replace("v", b"1")
    objects.replace("v", b"2")
    assert objects.read("v", MOST) == b"2"


def test_a_swap_writes_over_what_was_seen_alone(objects: Objects) -> None:
    assert not objects.swap("link", b"", b"new")
    assert not objects.exists("link")
    objects.put_if_absent("link", b"one")
    assert not objects.swap("link", b"on", b"new")
    assert not objects.swap("link", b"other", b"new")
    assert objects.read("link", MOST) == b"one"
    assert objects.swap("link", b"one", b"two")
    assert objects.read("link", MOST) == b"two"


def test_of_racing_swaps_one_writes(objects: Objects) -> None:
    objects.put_if_absent("link", b"seen")
    written: list[bool] = []
    racers = [
        threading.Thread(target=lambda n=n: written.append(objects.swap("link", b"seen", b"%d" % n))) for n in range(16)
    ]
    for one in racers:
        one.start()
    for one in racers:
        one.join()
    assert sorted(written) == [False] * 15 + [True]


def test_a_store_that_can_be_cleared_tells_what_it_holds(objects: Clearable) -> None:
    for ref in ("a/ofs/x/1", "a/ofs/x/2", "a/other", "b/ofs/y/3"):
        objects.put_if_absent(ref, b"body")
    assert (objects.list_folders(""), objects.list_folders("a"), objects.list_folders("c")) == (
        ["a", "b"],
        ["a/ofs"],
        [],
    )
    assert [(one.ref, one.bytes) for one in objects.list_objects("a/ofs")] == [("a/ofs/x/1", 4), ("a/ofs/x/2", 4)]
    assert objects.list_objects("c") == []
    objects.remove("a/ofs/x/1")
    objects.remove("a/ofs/x/1")
    assert objects.list_below("a/ofs") == ["a/ofs/x/2"]
    with pytest.raises(Refusal):
        objects.remove("../x")


def test_a_removal_takes_no_folder_from_under_a_writer(tmp_path: Path) -> None:
    """Folders that a removal leaves empty go, while others write into the same ones."""
    objects, stop, failed = LocalObjects.at(tmp_path), threading.Event(), list[BaseException]()

    def clear() -> None:
        while not stop.is_set():
            objects.put_if_absent("a/b/c/old", b"x")
            objects.remove("a/b/c/old")

    def write(number: int) -> None:
        try:
            for n in range(200):
                assert objects.put_if_absent(f"a/b/c/{number}-{n}", b"x") is Put.CREATED
                objects.remove(f"a/b/c/{number}-{n}")
        except BaseException as error:  # noqa: BLE001  # told where a test hears it
            failed.append(error)

    clearer = threading.Thread(target=clear)
    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for one in (clearer, *writers):
        one.start()
    for one in writers:
        one.join()
    stop.set()
    clearer.join()
    assert failed == []


def test_the_same_bytes_put_twice_are_created_once(objects: Objects) -> None:
    body = b"one object in memory"
    assert [objects.put_if_absent("a", body) for _ in range(2)] == [Put.CREATED, Put.EXISTS]
    assert [objects.put_if_absent("b", b"") for _ in range(2)] == [Put.CREATED, Put.EXISTS]
    assert objects.read("b", MOST) == b""


def test_an_unsynced_put_is_an_exclusive_one_too(objects: Objects) -> None:
    assert [objects.put_unsynced("a", body) for body in (b"one", b"two")] == [Put.CREATED, Put.EXISTS]
    assert objects.put_if_absent("a", b"three") is Put.EXISTS
    assert objects.read("a", MOST) == b"one"


def test_only_a_durable_put_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    objects = LocalObjects.at(tmp_path)
    objects.put_unsynced("a", b"1")
    assert synced == []
    objects.put_if_absent("b", b"1")
    assert len(synced) == 2  # the file, and its name in the folder


def test_a_store_is_empty_until_it_is_written_and_looking_creates_nothing(objects: Objects, tmp_path: Path) -> None:
    assert not objects.exists("a")
    for read in readers(objects):
        with pytest.raises(ObjectMissing):
            read("a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_object(objects: Objects) -> None:
    objects.put_if_absent("a/b", b"x")
    assert not objects.exists("a")
    for ref in ("a", "a/b/c"):
        for read in readers(objects):
            with pytest.raises(ObjectMissing):
                read(ref)
        assert not objects.exists(ref)


def test_a_ref_and_its_address_name_one_object(objects: Objects) -> None:
    objects.put_if_absent("a/b", b"x")
    address = objects.locate("a/b")
    assert (objects.read(address, MOST), objects.relative(address), objects.relative("a/b")) == (b"x", "a/b", "a/b")


def test_a_store_travels(objects: Objects) -> None:
    objects.put_if_absent("a/b", b"x")
    assert pickle.loads(pickle.dumps(objects)).read("a/b", MOST) == b"x"


def test_missing_object_is_named(objects: Objects) -> None:
    assert not objects.exists("no/such")
    for read in readers(objects):
        with pytest.raises(ObjectMissing, match="no/such"):
            read("no/such")


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
        "a\u200bb",
        "a\x1b[31mb",
        "a\ud800b",
        "é" * 200,
        "x" * 2000,
    ],
)
def test_refs_outside_the_root_are_refused(objects: Objects, ref: str) -> None:
    calls: list[Callable[[str], Any]] = [
        *readers(objects),
        objects.exists,
        objects.relative,
        objects.locate,
        lambda ref: objects.put_if_absent(ref, b"x"),
        lambda ref: objects.replace(ref, b"x"),
    ]
    for call in calls:
        with pytest.raises(PinsRefused, match="REF_SCOPE_INVALID"):
            call(ref)


@pytest.mark.parametrize("name", ["a*", "a?b", "{a,b}", "%2e%2e", "a%2Fb", "q?x=1#f", "wörld", "a b", "日本", ":", "~"])
def test_any_printable_name_is_a_name_and_nothing_is_decoded(objects: Objects, name: str) -> None:
    ref = f"{name}/x"
    assert objects.put_if_absent(ref, b"1") is Put.CREATED
    assert (objects.read(ref, MOST), objects.relative(ref), objects.read(objects.locate(ref), MOST)) == (
        b"1",
        ref,
        b"1",
    )


def test_what_is_no_regular_file_is_no_object_and_nobody_waits_for_it(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for ref in ("pipe", "folder", "socket"):
            assert not objects.exists(ref)
            for read in readers(objects):
                with pytest.raises(ObjectMissing):
                    read(ref)
            for write in (objects.put_if_absent, objects.replace):
                with pytest.raises(Refusal, match=f"REF_ACCESS_DENIED: {ref}: something that is no object"):
                    write(ref, b"x")


def test_a_size_is_looked_at_before_anything_is_read(objects: Objects) -> None:
    objects.put_if_absent("a", b"four")
    assert objects.read("a", 4) == b"four"
    with pytest.raises(ObjectTooLarge) as found:
        objects.read("a", 3)
    assert (found.value.ref, found.value.found, found.value.allowed) == ("a", 4, 3)
    if isinstance(objects, LocalObjects):
        os.truncate(objects.locate("a"), 1 << 40)  # a sparse file that no memory holds
        with pytest.raises(ObjectTooLarge):
            objects.read("a", 1 << 30)


def test_a_digest_is_of_the_whole_object_and_never_holds_it(objects: Objects) -> None:
    objects.put_if_absent("a", b"four")
    assert objects.digest("a") == hashlib.sha256(b"four").hexdigest()
    with pytest.raises(ObjectMissing):
        objects.digest("b")
    if isinstance(objects, LocalObjects):
        os.truncate(objects.locate("a"), 64 << 20)
        tracemalloc.start()
        found = objects.digest("a")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found == hashlib.sha256(b"four".ljust(64 << 20, b"\0")).hexdigest()
        assert peak < 4 << 20


@pytest.mark.parametrize(
    ("most", "body"), [(1, b"7"), (3, b"567"), (8, b"01234567"), (9, b"01234567"), (1 << 40, b"01234567")]
)
def test_a_tail_is_the_end_of_an_object_and_its_size(most: int, body: bytes, objects: Objects) -> None:
    objects.put_if_absent("a/b", b"01234567")
    assert objects.read_tail("a/b", most) == objects.read_tail(objects.locate("a/b"), most) == Tail(8, body)


def test_a_tail_is_read_of_an_object_of_any_size(objects: Objects) -> None:
    objects.put_if_absent("empty", b"")
    assert objects.read_tail("empty", 4) == Tail(0, b"")
    if isinstance(objects, LocalObjects):
        os.truncate(objects.locate("empty"), 1 << 40)  # a sparse file that no memory holds
        assert objects.read_tail("empty", 4) == Tail(1 << 40, bytes(4))


@pytest.mark.parametrize(
    ("start", "most", "body"),
    [
        (0, 1, b"0"),
        (2, 3, b"234"),
        (0, 8, b"01234567"),
        (6, 9, b"67"),
        (8, 1, b""),
        (1 << 40, 1, b""),
        (7, 1 << 40, b"7"),
    ],
)
def test_a_range_ends_where_the_object_does(start: int, most: int, body: bytes, objects: Objects) -> None:
    objects.put_if_absent("a/b", b"01234567")
    objects.put_if_absent("empty", b"")
    assert objects.read_range("a/b", start, most) == objects.read_range(objects.locate("a/b"), start, most) == body
    assert objects.read_range("empty", start, most) == b""


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "ENVIRONMENT_UNFIT"),
        (errno.EDQUOT, "ENVIRONMENT_UNFIT"),
        (errno.EROFS, "ENVIRONMENT_UNFIT"),
        (errno.ENOMEM, "RESOURCE_EXCEEDED"),
        (errno.EPERM, "REF_ACCESS_DENIED"),
        (errno.EIO, None),
        (errno.ESTALE, None),
        (errno.ETIMEDOUT, None),
    ],
    ids=str,
)
def test_a_store_that_cannot_says_so_and_silence_stays_silence(
    number: int, code: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_named: Any) -> Any:
        raise OSError(number, os.strerror(number))

    objects = LocalObjects.at(tmp_path)
    objects.put_if_absent("a", b"1")
    calls: dict[str, list[Callable[[], Any]]] = {
        "os.fsync": [lambda: objects.put_if_absent("b", b"2"), lambda: objects.replace("a", b"2")],
        "os.open": [
            lambda: objects.read("a", MOST),
            lambda: objects.read_tail("a", 1),
            lambda: objects.read_range("a", 0, 1),
            lambda: objects.digest("a"),
        ],
    }
    for place, ones in calls.items():
        with monkeypatch.context() as patched:
            patched.setattr(place, fail)
            for call in ones:
                with pytest.raises(OSError if code is None else Refusal) as found:
                    call()
                assert code is None or str(found.value).startswith(f"{code}: the object ")
    assert objects.read("a", MOST) == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_where_a_folder_must_be_is_an_unfit_place(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path)
    objects.put_if_absent("a", b"1")
    with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT: the object a/b"):
        objects.put_if_absent("a/b", b"2")


def test_an_object_that_may_not_survive_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is there already: only a later read tells, however definite the error looks."""

    def fail(_folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ofs_spark.io.objects.local._sync", fail)
    with pytest.raises(OSError, match="may not survive"):
        LocalObjects.at(tmp_path).put_if_absent("a", b"1")
    assert LocalObjects.at(tmp_path).read("a") == b"1"


def test_a_symbolic_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    objects = LocalObjects.at(tmp_path / "root")
    (tmp_path / "root").mkdir()
    os.symlink(tmp_path / "secret", tmp_path / "root" / "link")
    for read in readers(objects):
        with pytest.raises(PinsRefused, match="symbolic link"):
            read("link")


def test_a_full_address_inside_the_root_is_the_same_ref(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path / "root")
    objects.put_if_absent("a/b", b"x")
    assert objects.read(objects.locate("a/b")) == b"x"
    assert objects.relative(f"file://{objects.root}/a/b") == "a/b"


def test_what_a_store_refuses_is_access_denied_and_changes_nothing() -> None:
    with tempfile.TemporaryDirectory() as scratch:  # pytest's own folders are closed to others
        Path(scratch).chmod(0o755)
        objects = LocalObjects.at(Path(scratch, "root"))
        objects.put_if_absent("open/a", b"1")
        objects.put_if_absent("closed/a", b"1")
        Path(objects.locate("open/a")).chmod(0o000)
        Path(objects.root, "open").chmod(0o555)
        Path(objects.root, "closed").chmod(0o000)
        calls: list[Callable[[], Any]] = [
            lambda: objects.read("open/a", MOST),
            lambda: objects.read("closed/a", MOST),
            lambda: objects.read_tail("open/a", 1),
            lambda: objects.read_tail("closed/a", 1),
            lambda: objects.read_range("open/a", 0, 1),
            lambda: objects.read_range("closed/a", 0, 1),
            lambda: objects.digest("open/a"),
            lambda: objects.digest("closed/a"),
            lambda: objects.exists("closed/a"),
            lambda: objects.put_if_absent("open/b", b"2"),
            lambda: objects.put_if_absent("closed/b", b"2"),
            lambda: objects.replace("open/a", b"2"),
        ]
        with unprivileged():
            for call in calls:
                with pytest.raises(PinsRefused, match="REF_ACCESS_DENIED"):
                    call()
        Path(objects.root, "open").chmod(0o755)
        Path(objects.root, "closed").chmod(0o755)
        Path(objects.locate("open/a")).chmod(0o644)
        assert objects.read("open/a", MOST) == b"1"
        assert sorted(path.name for path in Path(objects.root).rglob("*")) == ["a", "a", "closed", "open"]


def test_a_root_that_is_a_file_is_an_unfit_environment(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"a file where the root should be")
    objects = LocalObjects.at(tmp_path / "root")
    for write in (objects.put_if_absent, objects.replace):
        with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT: the object a/b"):
            write("a/b", b"x")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path)
    objects.put_if_absent("a/b", b"x")
    with pytest.raises(Refusal, match="REF_ACCESS_DENIED"):
        objects.replace("a", b"x")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
def test_a_body_of_another_length_than_the_store_states_is_not_given() -> None:
    """Files of /proc state no length, as one that is being written states less than it will have."""
    for read in readers(LocalObjects.at(f"/proc/{os.getpid()}")):
        with pytest.raises(OSError, match="where 0 are left of the file"):
            read("status")


def test_of_racing_writers_one_creates(objects: Objects, tmp_path: Path) -> None:
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
