"""Commands of `ofs` in a process that records where it writes: `python -m tests.worlds.watched PLAN`.

PLAN is a JSON file {engine: local | spark, steps: [step], report: path}. A step is {name, folder, holes, arguments, job}:
`arguments` are those of `ofs`, or of the file `job` of jobs/; `{manifest_ref}`, `{dataset_manifest_id}` and `{run_key}`
in them are those of the last answer in the same folder. Below `folder` nothing but what begins with a hole may change.

The report is a list of {name, exit, answer, written, reached, changed, told}: (event, path) of what the process opened for
writing, made, moved or removed; what it started or connected to; what differs below `folder` though it is in no hole.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CHANGES = {
    "os.chmod": ((0, 2),), "os.chown": ((0, 3),), "os.link": ((0, 2), (1, 3)), "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),), "os.removexattr": ((0, None),), "os.rename": ((0, 2), (1, 3)), "os.rmdir": ((0, 1),),
    "os.setxattr": ((0, None),), "os.symlink": ((1, 2),), "os.truncate": ((0, None),), "os.utime": ((0, 3),),
    "shutil.chown": ((0, None),), "shutil.copyfile": ((1, None),), "shutil.copymode": ((1, None),),
    "shutil.copystat": ((1, None),), "shutil.copytree": ((1, None),), "shutil.make_archive": ((0, None),),
    "shutil.move": ((0, None), (1, None)), "shutil.rmtree": ((0, 1),), "shutil.unpack_archive": ((1, None),),
    "tempfile.mkdtemp": ((0, None),), "tempfile.mkstemp": ((0, None),),
}  # fmt: skip
"""Audit event → places of (a path that it changes, the descriptor of the folder that the path starts from) in its arguments."""
REACHES = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "socket.connect", "subprocess.Popen"}
"""What leaves this process: a process that it starts is not watched."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Recorder:
    """An audit hook. It cannot be taken off: a process that is watched does nothing else."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str]] = []
        self.reached: list[str] = []

    def start(self) -> None:
        """Forgets what was recorded."""
        self.written, self.reached = [], []

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Records an event that writes somewhere or leaves this process."""
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, int) and flags & WRITES:
                self.written.append((event, _locate(path)))
        elif event == "sqlite3.connect":
            self.written += [(event, path) for path in _find_database(os.fsdecode(arguments[0]))]
        elif event in CHANGES:
            for place, start in CHANGES[event]:
                folder = arguments[start] if start is not None and start < len(arguments) else -1
                self.written.append((event, _locate(arguments[place], -1 if folder is None else folder)))
        elif event in REACHES:
            self.reached.append(f"{event} {arguments!r:.200}")


def _locate(path: str | bytes | int, folder: int = -1) -> str:
    """The full path of what an event names; links in its folders are followed."""
    if isinstance(path, int):
        return os.path.realpath(f"/proc/self/fd/{path}")
    named = os.fsdecode(path)
    start = os.getcwd() if folder < 0 else os.path.realpath(f"/proc/self/fd/{folder}")
    parent, name = os.path.split(os.path.join(start, named))
    return os.path.join(os.path.realpath(parent), name)


def _find_database(name: str) -> list[str]:
    """The file that SQLite may write; none for a connection that only reads."""
    address = urlsplit(name)
    if address.scheme != "file":
        return [] if name == ":memory:" else [_locate(name)]
    return [] if "mode=ro" in address.query else [_locate(unquote(address.path))]


def snapshot(folder: Path, holes: Sequence[str]) -> dict[str, list[Any]]:
    """Path → kind and rights, time, size, inode and SHA-256 of everything below `folder` that is in no hole.

    Of a folder that holds a hole only kind and rights are told: something may be made in it.
    """
    return {path: _describe(path, holes) for path in _walk(folder) if not f"{path}/".startswith(tuple(holes))}


def _walk(folder: Path) -> Iterator[str]:
    for at, folders, files in os.walk(folder):
        yield from (os.path.join(at, name) for name in (*folders, *files))


def _describe(path: str, holes: Sequence[str]) -> list[Any]:
    of = os.lstat(path)
    if stat.S_ISDIR(of.st_mode) and any(os.path.dirname(hole.rstrip("/")) == path for hole in holes):
        return [of.st_mode]
    body = Path(path).read_bytes() if stat.S_ISREG(of.st_mode) else b""
    return [of.st_mode, of.st_mtime_ns, of.st_size, of.st_ino, hashlib.sha256(body).hexdigest()]


def run_step(step: dict[str, Any], recorder: Recorder, answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Runs one command and reports on it."""
    folder, holes = Path(step["folder"]), step["holes"]
    answered = answers.setdefault(step["folder"], {})
    arguments = [one.format(**answered) if "{" in one else one for one in step["arguments"]]
    before, out, err = snapshot(folder, holes), StringIO(), StringIO()
    recorder.start()
    with redirect_stdout(out), redirect_stderr(err):
        status = _call(arguments, step.get("job"))
    report = {"name": step["name"], "exit": status, "written": recorder.written, "reached": recorder.reached}
    after = snapshot(folder, holes)
    lines = out.getvalue().strip().splitlines()
    answer = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    answered.update(
        {name: answer[name] for name in ("manifest_ref", "dataset_manifest_id", "run_key") if name in answer}
    )
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    return {**report, "answer": answer, "changed": changed, "told": err.getvalue()[-2_000:]}


def _call(arguments: list[str], job: str | None) -> int:
    from ofs_spark.cli import main

    if job is None:
        return main(arguments)
    sys.argv = [job, *arguments]
    try:
        runpy.run_path(job, run_name="__main__")
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError(f"{job} ends without an exit status")


def main(plan: Path) -> None:
    """Runs the steps of a plan and writes its report."""
    recorder = Recorder()
    sys.addaudithook(recorder.hear)
    asked = json.loads(plan.read_bytes())
    from ofs_spark.io import engines
    from ofs_spark.io.embedded_engine import EmbeddedEngine

    if asked["engine"] == "local":
        engines.Engines.find = lambda *_asked: EmbeddedEngine()  # type: ignore[method-assign]
    else:
        engines.choose_engine = lambda *_asked, **_named: ("spark", "the test says so")
    answers: dict[str, dict[str, Any]] = {}
    reports = [run_step(step, recorder, answers) for step in asked["steps"]]
    Path(asked["report"]).write_text(json.dumps(reports))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
