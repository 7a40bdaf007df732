"""A watched process that can write nowhere but below named folders, whoever runs it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.code_folder import find_cache_root

ROOT = Path(__file__).resolve().parents[2]

Command = list[str]
BOUND = ("--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all")
"""Of a root whom missing rights bind, as they bind everybody else."""
ELSEWHERE = {
    "{scratch}/": "TMPDIR and the working folder",
    "{cache}/": "compiled loops, and the traceback of a defect",
    "/dev/null": "nothing",
}
"""Where a process may write outside its worlds, and what."""


def mount_read_only(command: Command, holes: Sequence[Path], folder: Path) -> Command:
    """In a mount namespace of its own, whose root is read-only but for the holes."""
    kept = [f"mount --bind {shlex.quote(str(hole))} {shlex.quote(str(hole))}" for hole in holes]
    script = folder / "mount.sh"  # a night's worlds have more holes than an argument has room for
    script.write_text(" &&\n".join([*kept, "mount -o remount,bind,ro /", f"exec {shlex.join(command)}"]))
    return ["unshare", "--mount", "sh", str(script)]


def take_rights(command: Command, holes: Sequence[Path], folder: Path) -> Command:
    """Without the right to write to anything below `folder` but the holes."""
    for path in (folder, *folder.rglob("*")):
        if not any(path == hole or hole in path.parents for hole in holes):
            path.chmod(path.stat().st_mode & ~0o222)
    return ["setpriv", *BOUND, "--", *command] if os.geteuid() == 0 else command


PROTECTIONS: Mapping[str, Callable[[Command, Sequence[Path], Path], Command]] = {
    "read-only mount": mount_read_only,
    "rights taken": take_rights,
}
"""The stronger one first."""


def is_possible(name: str, folder: Path) -> bool:
    """Whether the protection can be had here, and binds: tried on a folder of its own."""
    tried = folder / "tried"
    hole = tried / "hole"
    hole.mkdir(parents=True, exist_ok=True)
    script = f"echo > {shlex.quote(str(hole / 'x'))} && ! echo > {shlex.quote(str(tried / 'x'))}"
    command = PROTECTIONS[name](["sh", "-c", script], [hole], tried)
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0 and (hole / "x").exists() and not (tried / "x").exists()


@dataclass(frozen=True)
class Watched:
    """The reports of one process, by step, and where it may write: full paths, as prefixes."""

    reports: Mapping[str, dict[str, Any]]
    allowed: tuple[str, ...]

    def find_trespass(self, name: str) -> list[str]:
        """What of a step wrote, or tried to write, where OFS owns nothing."""
        report = self.reports[name]
        tried = [f"{event} {path}" for event, path in report["written"] if not self._is_allowed(event, path)]
        return [*tried, *(f"changed {path}" for path in report["changed"])]

    def _is_allowed(self, event: str, path: str) -> bool:
        on_the_way = event == "os.mkdir" and any(allowed.startswith(f"{path}/") for allowed in self.allowed)
        return on_the_way or f"{path}/".startswith(self.allowed)


def watch(
    steps: list[dict[str, Any]],
    base: Path,
    open_below: Sequence[str],
    engine: str = "local",
    protection: str | None = None,
) -> Watched:
    """Runs the steps (see `watched`) in one process below `base` that is watched, and protected unless `protection` is "".

    open_below: folders below each step's folder that may be written. Skips where nothing protects.
    """
    if protection is None:
        protection = next((name for name in PROTECTIONS if is_possible(name, base / "trial")), None)
    if protection is None:
        pytest.skip("NOT SHOWN: neither a read-only mount nor taken rights can be had on this machine")
    scratch, cache = base / "scratch", find_cache_root()
    plan, report = base / "plan.json", scratch / "report.json"
    for folder in (scratch, cache):
        folder.mkdir(parents=True, exist_ok=True)
    plan.write_text(json.dumps({"engine": engine, "steps": steps, "report": str(report)}))
    command = [sys.executable, "-m", "tests.worlds.watched", str(plan)]
    folders = {step["folder"] for step in steps}
    holes = [scratch, cache, *(Path(folder, hole) for folder in sorted(folders) for hole in open_below)]
    if protection:
        command = PROTECTIONS[protection](command, holes, base)
    own = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(scratch)}
    own |= {"SPARK_LOCAL_DIRS": str(scratch), "JAVA_TOOL_OPTIONS": f"-Djava.io.tmpdir={scratch} -XX:-UsePerfData"}
    done = subprocess.run(command, cwd=scratch, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    reports = {one["name"]: one for one in json.loads(report.read_bytes())}
    places = [one.format(scratch=scratch, cache=cache) for one in ELSEWHERE]
    places += [one for step in steps for one in step["holes"]]
    return Watched(reports, tuple(dict.fromkeys(places)))
