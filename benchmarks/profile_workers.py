"""What Python workers spend their time on, by step and function: py-spy looks at all of them a hundred times a second."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from os import getpid
from pathlib import Path
from typing import Any, TypeVar

Answer = TypeVar("Answer")

RATE = 100
FRAME = re.compile(r"(?P<name>.+) \((?P<file>[^()]*?)(?::\d+)?\)")
ENGINE = "ofs_spark/io/spark_engine.py"
MEASURE = "ofs_spark/foundation/columnar/measure.py"
Frame = tuple[str, str]
"""A function's file, from the package's folder on, and its name."""
ADAPTERS: tuple[Frame, ...] = (ENGINE, "_Starter.__call__"), (ENGINE, "_Adapter.__call__")
"""What a worker calls. The driver has other functions of the engine, and waits in them."""


def look_while(run: Callable[[], Answer], folder: Path) -> tuple[Answer, Counter[tuple[Frame, ...]]]:
    """What `run` answers, and the stacks of all workers meanwhile: frames from the outermost on → samples."""
    stacks = folder / "stacks"
    spy = Path(sys.executable).parent / "py-spy"
    command = [str(spy), "record", "--pid", str(getpid()), "--subprocesses", "--function"]
    command += ["--format", "raw", "--rate", str(RATE), "--output", str(stacks)]
    with (folder / "py-spy.log").open("wb") as log:
        watching = subprocess.Popen(command, stdout=log, stderr=log)
        time.sleep(2)  # it reads the symbols of every process first
        if watching.poll() is not None:
            raise SystemExit(f"py-spy did not start: {(folder / 'py-spy.log').read_text()[-500:]}")
        answer = run()
        watching.send_signal(signal.SIGINT)
        watching.wait()
    return answer, read_stacks(stacks.read_text().splitlines())


def read_stacks(lines: Iterable[str]) -> Counter[tuple[Frame, ...]]:
    """Stacks of workers → samples: those with a frame of the engine's adapter, which is left out with all outside of it."""
    found: Counter[tuple[Frame, ...]] = Counter()
    for line in lines:
        text, _, count = line.rpartition(" ")
        frames = [_read_frame(frame) for frame in text.split(";")]
        inside = [at for at, frame in enumerate(frames) if frame in ADAPTERS]
        if inside:
            found[tuple(frames[inside[0] :])] += int(count)
    return found


def _read_frame(text: str) -> Frame:
    found = FRAME.fullmatch(text)
    if found is None:
        return "", text
    file = found["file"]
    for mark in ("ofs_spark/", "site-packages/", "lib/python"):
        if mark in file:
            file = file[file.index(mark) + (0 if mark == "ofs_spark/" else len(mark)) :]
            break
    return file, found["name"]


def find_step(stack: Sequence[Frame]) -> str:
    """The file of the work that runs: the first one of a room. What the adapter does itself is its own."""
    for file, _ in stack:
        if file.startswith("ofs_spark/") and file not in (ENGINE, MEASURE):
            return file
    return ENGINE


def split_samples(stacks: Counter[tuple[Frame, ...]], most: int) -> list[dict[str, Any]]:
    """Per step, heaviest first: its share of all samples, and the shares of its heaviest functions, and of files of `ofs_spark`.

    A function's share is of what it does itself, with the compiled code that it calls.
    """
    total = stacks.total()
    steps: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for stack, count in stacks.items():
        functions, files = steps.setdefault(find_step(stack), (Counter(), Counter()))
        functions[" ".join(reversed(stack[-1]))] += count
        files[next(file for file, _ in reversed(stack) if file.startswith("ofs_spark/"))] += count
    return [
        {"work": step, "share": files.total() / total, "functions": _share(functions, total, most),
         "files": _share(files, total, most)}
        for step, (functions, files) in sorted(steps.items(), key=lambda item: -item[1][1].total())
    ]  # fmt: skip


def _share(counted: Counter[str], total: int, most: int) -> dict[str, float]:
    return {name: count / total for name, count in counted.most_common(most)}
