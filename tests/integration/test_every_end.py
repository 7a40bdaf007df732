"""Hostile inputs, whatever they are: one JSON object that keeps its contract, an exit status of the table, no traceback."""

from __future__ import annotations

import errno
import importlib.abc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark import pipeline
from ofs_spark.console import answer_command
from ofs_spark.foundation.codes import CODES
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.ends import find_owner
from ofs_spark.foundation.ports import Put, Tail
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.objects.local import LocalObjects
from tests.spec.tables.windows import world
from tests.worlds.command import Result, run_command
from tests.worlds.writer import Written, write_world

ROOT = Path(__file__).resolve().parents[2]
WORLD = world("event|time|card\ne0|10:00|1\ne1|10:01|1\ne2|10:02|2")
EXITS = {0, 1, 2, 129, 130, 143, *(code.exit_status for code in CODES.values())}


def check(told: Result) -> dict[str, Any]:
    """The one object on standard output, proven to be an answer of the exit status."""
    assert "Traceback" not in told.stdout + told.stderr, told.stderr
    assert told.stdout.count("\n") == 1, told
    answer = dict(json.loads(told.stdout))
    assert told.exit_code in EXITS
    outcome = answer.get("outcome")
    contract = {"REFUSED": "refusal_answer", "FAILED": "failure_answer"}.get(str(outcome))
    if contract is None:
        assert told.exit_code in (0, 10, 60), answer
        return answer
    assert find_faults(answer, contract) == []
    expected = CODES[answer["code"]].exit_status if outcome == "REFUSED" else answer["exit_status"]
    assert told.exit_code == expected
    return answer


def is_defect(answer: dict[str, Any]) -> bool:
    return answer.get("reason") == "INTERNAL"


def _change_member(body: bytes, r: random.Random) -> bytes:
    """One member of a JSON document, anywhere, becomes something else."""
    try:
        document = json.loads(body)
    except ValueError:
        return b"a: [1, {b: ~}]"
    here: Any = document
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return body
        key = r.choice(keys)
        if isinstance(here[key], (dict, list)) and here[key] and r.random() < 0.8:
            here = here[key]
            continue
        odd: list[Any] = [None, "", "../x", "\x1b[31m", -1, 2**70, 0.5, [], {}, {"a": 1}, True, "x" * 5_000, "%2e%2e/x"]
        here[key] = r.choice(odd)
        return json.dumps(document).encode()


BODIES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "nothing": lambda _body, _r: b"",
    "noise": lambda _body, r: r.randbytes(300),
    "half": lambda body, _r: body[: len(body) // 2],
    "no object": lambda _body, r: r.choice([b"null", b"[]", b"7", b'"x"', b"[[[[", b"{}", b"{", b"true"]),
    "deep": lambda _body, r: r.choice([b"[", b'{"a":', b"- ", b"a: {"]) * 100_000,
    "long number": lambda _body, _r: b'{"a": ' + b"9" * 6_000 + b"}",
    "odd number": lambda _body, r: b'{"a": ' + r.choice([b"1e999", b"NaN", b"-0", b"0777", b"1e-400", b".5"]) + b"}",
    "surrogate": lambda _body, _r: b'{"a": "\\ud800"}',
    "control": lambda _body, _r: b'{"a": "\\u001b[31m\\u0000\\n"}',
    "flip": lambda body, r: (lambda at: body[:at] + bytes([body[at] ^ (1 << r.randrange(8))]) + body[at + 1 :])(
        r.randrange(len(body))
    ),
    "mark": lambda body, _r: b"\xef\xbb\xbf" + body,
    "member": _change_member,
    "latin": lambda body, _r: body + "ü".encode("latin-1"),
}


def damage_with_place(path: Path, r: random.Random) -> Callable[[], None]:
    """Replaces a file by something that is none; gives what undoes it."""
    path.unlink()
    kind = r.choice(["folder", "pipe", "socket", "link in a circle", "nothing", "device", "large"])
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        os.chdir(path.parent)
        server.bind(path.name)
        return server.close
    elif kind == "link in a circle":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(1 << 36)
    return lambda: None


def list_inputs(written: Written) -> list[Path]:
    """Every file that a build reads: intent, wiring, run facts, outputs, index, segments, extract, profile."""
    return sorted(path for path in written.wiring.parent.rglob("*") if path.is_file())


@contextmanager
def in_folder(folder: Path) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_all(written: Written) -> list[dict[str, Any]]:
    """Every command that may meet the damage, short of one that starts an engine for long."""
    wiring = ("--json", "--quiet", "--wiring", str(written.wiring))
    commands = [("build", str(written.intent)), ("status",), ("identity", str(written.intent)), ("show", "a/b")]
    return [check(run_command(*wiring, *one)) for one in commands]


def attack(seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    r = random.Random(seed)  # no secret
    written = write_world(WORLD, folder)
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
    with in_folder(folder):
        target = r.choice(list_inputs(written))
        undo: Callable[[], None] = lambda: None  # noqa: E731
        if r.random() < 0.3:
            undo = damage_with_place(target, r)
        else:
            target.write_bytes(BODIES[r.choice(sorted(BODIES))](target.read_bytes(), r))
        try:
            answers = run_all(written)
            answers.append(check(run_command("--json", "validate", str(target))))
        finally:
            undo()
    assert [one for one in answers if is_defect(one)] == [], f"seed {seed}: {target.name}"


@pytest.mark.parametrize("seed", range(40))
def test_damage_to_any_input_is_answered(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attack(seed, tmp_path, monkeypatch)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1_000, 3_000))
def test_more_damage_to_any_input_is_answered(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attack(seed, tmp_path, monkeypatch)


ARGUMENTS = [
    ("--json",),
    ("--json", "build"),
    ("--json", "build", ""),
    ("--json", "build", "/dev/zero"),
    ("--json", "build", "."),
    ("--json", "build", "x" * 5_000),
    ("--json", "build", "a\x00b"),
    ("--json", "build", "\udcff"),
    ("--json", "validate", "/proc/self/mem"),
    ("--json", "validate", "{file}", "--contract", "no\x1b[31msuch"),
    ("--json", "validate", "{file}", "--contract", "../wiring"),
    ("--json", "show", "../../etc/passwd"),
    ("--json", "show", "dm_\udcff/x"),
    ("--json", "show", "\x1b[2J"),
    ("--json", "status", "%' OR 1=1 --"),
    ("--json", "status", "\udcff"),
    ("--json", "--wiring", "/dev/zero", "status"),
    ("--json", "--wiring", ".", "status"),
    ("--json", "--wiring", "\udcff", "status"),
    ("--json", "--policy", "/dev/null", "status"),
    ("--json", "--policy", "\udcff", "status"),
    ("--json", "demo", "--payments", "٣٣٣٣٣"),
    ("--json", "demo", "--payments", "9" * 5_000),
    ("--json", "demo", "--payments", "1000", "--folder", "/proc/nowhere"),
    ("--json", "demo", "--payments", "1000", "--seed", "x"),
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
def test_any_arguments_are_answered(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_world(WORLD, tmp_path)
    monkeypatch.chdir(tmp_path)  # one of them makes a demo world where it stands
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
    answer = check(run_command(*(str(written.intent) if one == "{file}" else one for one in arguments)))
    assert not is_defect(answer), answer


ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "release": {"OFS_CODE_RELEASE": "\udcff"},
    "release of escapes": {"OFS_CODE_RELEASE": "\x1b[31m"},
    "no home": {"HOME": None, "XDG_CACHE_HOME": None},
    "cache that is a file": {"OFS_CACHE_DIR": "/dev/null"},
    "wiring": {"OFS_WIRING": "\udcff"},
    "policy": {"OFS_POLICY": "/dev/null"},
    "ascii": {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_any_environment_is_answered(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_world(WORLD, tmp_path)
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    for variable, value in ENVIRONMENTS[name].items():
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    assert not is_defect(check(run_command("--json", "--quiet", "build", str(written.intent))))


class Failing(LocalObjects):
    """A store whose N-th call fails, before or after it did its work."""

    calls = 0
    fails_at = 0
    number = errno.EIO
    after = False

    def _meet(self) -> bool:
        type(self).calls += 1
        return type(self).calls == type(self).fails_at

    def _fail(self) -> None:
        number = type(self).number
        raise OSError(number, os.strerror(number))

    def read(self, ref: str, most: int = sys.maxsize, /) -> bytes:
        if self._meet():
            self._fail()
        return super().read(ref, most)

    def read_tail(self, ref: str, most: int, /) -> Tail:
        if self._meet():
            self._fail()
        return super().read_tail(ref, most)

    def digest(self, ref: str) -> str:
        if self._meet():
            self._fail()
        return super().digest(ref)

    def exists(self, ref: str) -> bool:
        if self._meet():
            self._fail()
        return super().exists(ref)

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        meets = self._meet()
        if meets and not type(self).after:
            self._fail()
        put = super().put_if_absent(ref, body)
        if meets:
            self._fail()
        return put


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.ETIMEDOUT, errno.EACCES, errno.ENOMEM])
def test_a_store_that_fails_at_any_call_is_answered(
    number: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ofs_spark.publish.commit.READ_BACK_PAUSES_S", (0.0, 0.0))
    r = random.Random(number)  # no secret
    for turn, call in enumerate(sorted(r.sample(range(1, 45), 3))):
        written = write_world(WORLD, tmp_path / f"{turn}")
        monkeypatch.setattr(Failing, "calls", 0)
        for name, value in (("fails_at", call), ("number", number), ("after", after)):
            monkeypatch.setattr(Failing, name, value)
        monkeypatch.setattr("ofs_spark.io.context.open_objects", lambda root, _settings: Failing(root))

        def build(written: Written = written) -> dict[str, Any]:
            with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
                return pipeline.build_dataset(written.intent.read_bytes(), context)

        capsys.readouterr()
        status = answer_command(build, as_json=True)
        told = capsys.readouterr()
        answer = check(Result(status, told.out, told.err))
        assert not is_defect(answer), (call, answer)


def test_a_defect_leaves_its_traceback_in_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFS_CACHE_DIR", str(tmp_path))

    def fail() -> dict[str, Any]:
        raise KeyError("\x1b[31mwörld")

    for as_json in (True, False):
        assert answer_command(fail, as_json=as_json) == 1
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert find_faults(answer, "failure_answer") == []
    assert "Traceback" not in told.out + told.err
    assert "\x1b" not in told.out + told.err
    first, second = sorted(tmp_path.iterdir(), key=lambda path: path.name not in answer["message"])
    assert str(first) in answer["message"]
    assert str(second) in told.err
    for file in (first, second):
        assert file.stat().st_mode & 0o777 == 0o600
        assert "KeyError" in file.read_text(encoding="utf-8")


WAITS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as those of nohup ignore this one
from ofs_spark.console import answer_command
def sleep():
    print("ready", file=sys.stderr, flush=True)
    time.sleep(60)
class Swallowed:
    def __del__(self):
        sleep()
def run():
    if sys.argv[1] == "as it is":
        sleep()
    elif sys.argv[1] == "hidden by a clean-up":
        try:
            sleep()
        finally:
            raise ConnectionError("the JVM is gone")
    else:
        Swallowed()
        time.sleep(60)
sys.exit(answer_command(run, as_json=True))
"""


@pytest.mark.parametrize("way", ["as it is", "hidden by a clean-up", "swallowed by a finaliser"])
@pytest.mark.parametrize(
    ("number", "reason", "status"),
    [(signal.SIGINT, "INTERRUPTED", 130), (signal.SIGTERM, "CANCELLED", 143), (signal.SIGHUP, "INTERRUPTED", 129)],
)
def test_a_signal_is_answered(number: signal.Signals, reason: str, status: int, way: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, way],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    answer = check(Result(process.returncode, out, err))
    assert (answer["reason"], process.returncode) == (reason, status)


def test_an_answer_that_cannot_be_written_is_no_success() -> None:
    program = (
        "import sys; from ofs_spark.console import answer_command as a; sys.exit(a(lambda: {'x': 1}, as_json=True))"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert (done.returncode, done.stderr) == (1, "ofs: the answer could not be written: No space left on device\n")


@pytest.mark.parametrize(
    ("raised", "answered"),
    [
        (MemoryError(), "RESOURCE_EXCEEDED"),
        (OSError(errno.EMFILE, "Too many open files"), "ENVIRONMENT_UNFIT"),
        (ImportError("failed to map segment", name="pyarrow.lib"), "ENVIRONMENT_UNFIT"),
        (KeyboardInterrupt(), "INTERRUPTED"),
        (RuntimeError("x"), "INTERNAL"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else one,
)
@pytest.mark.parametrize("command", ["build", "validate", "identity"])
def test_what_ends_a_command_before_it_begins_is_answered(
    command: str, raised: BaseException, answered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise raised

    monkeypatch.setenv("OFS_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("ofs_spark.commands.intents.read_argument", fail)
    answer = check(run_command("--json", command, "x"))
    assert answered in (answer.get("code"), answer.get("reason"))


@pytest.mark.parametrize("name", ["pyarrow.lib", "numpy", "yaml", None])
@pytest.mark.parametrize("room", ["ofs_spark.pipeline", "ofs_spark.intent.answers", "ofs_spark.workflow.validate"])
def test_a_library_that_cannot_be_loaded_is_an_unfit_machine(
    room: str, name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname: str, *_: object) -> None:
            if fullname == room:
                raise ImportError("IMPORTANT: PLEASE READ THIS\n\n\x1b[31m" * 50, name=name)

    written = write_world(WORLD, tmp_path)
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, room, raising=False)
    monkeypatch.delattr("ofs_spark.pipeline", raising=False)
    command = {"pipeline": "build", "answers": "identity", "validate": "validate"}[room.rpartition(".")[2]]
    told = run_command("--json", "--quiet", command, str(written.intent))
    answer = check(told)
    assert (answer["code"], len(answer["message"]) < 120) == ("ENVIRONMENT_UNFIT", True)


def test_a_part_of_ofs_that_is_missing_is_a_defect() -> None:
    assert find_owner(ModuleNotFoundError("no module", name="ofs_spark.nowhere")) is None


ADDRESSES: dict[str, Callable[[str], dict[str, Any]]] = {
    "objects": lambda text: {"objects": {"root": text}},
    "profiles": lambda text: {"profiles": {"root": text}},
    "ledger": lambda text: {"ledger": {"dsn": f"sqlite:///{text}"}},
}


@pytest.mark.parametrize("text", ["loop", "loop/x", "a\0b", "x" * 5_000, "file/x"])
@pytest.mark.parametrize("place", ADDRESSES)
def test_an_address_that_no_file_can_have_is_answered(place: str, text: str, tmp_path: Path) -> None:
    written = write_world(WORLD, tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    document = yaml.safe_load(written.wiring.read_text())
    written.wiring.write_text(yaml.safe_dump({**document, **ADDRESSES[place](text)}))
    for command in (("status",), ("build", str(written.intent))):
        answer = check(run_command("--json", "--quiet", "--wiring", str(written.wiring), *command))
        assert not is_defect(answer), answer
