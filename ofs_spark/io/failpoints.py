"""Failpoints: a process is ended, stopped or disturbed at a named point before or after one of its effects.

For drills and tests; off unless the environment variable OFS_FAILPOINT says so, and then nothing is watched:

    OFS_FAILPOINT='manifest.put.after=kill'  OFS_FAILPOINT='staged_rows.put.before#3=term+int,ledger.end.after=stop'

A point is an effect (`watched.py`) and `before` or `after`; `#n` is the n-th time that this process comes by. Actions are
done one after another, to the driver, wherever the point is reached.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

from ofs_spark.foundation.errors import refuse

Answer = TypeVar("Answer")

VARIABLE = "OFS_FAILPOINT"
EFFECTS = (
    *("ledger.register", "ledger.claim", "ledger.beat", "ledger.end", "ledger.find", "ledger.list"),
    *("input.read", "input.tail", "engine.start", "engine.scan", "engine.load", "engine.verify"),
    *("plan.put", "plan.read", "staged_rows.put", "staged_rows.read", "table_file.put", "table_file.read"),
    *(
        "table_log.commit",
        "table_log.read",
        "table_log.list",
        "file_list.put",
        "replay_receipt.put",
        "label_receipt.put",
    ),
    *("manifest.look", "manifest.put", "manifest.read", "publication.put", "plan_index.put", "manifest_v0.put"),
    *("fact.put", "contribution.replace", "reconciliation.read", "reconciliation.replace"),
    *("roll.read", "roll.replace"),
    *("fact.read", "backfill_intent.put", "link.put", "link.read", "link.swap"),
    *("prepared.replace", "scan_record.read", "scan_record.replace"),
    *("replay_receipt.look", "label_receipt.look", "run_receipt.read", "run_receipt.replace"),
    *("gc.list", "gc.remove", "gc_receipt.put"),
    *("retirement.look", "retirement.put", "retirement.read"),
)
"""Effects of a build, a backfill, a retirement and a gc, which a test compares with those of some that it watches."""
LATER = (
    *("staged_rows.digest", "staged_rows.replace"),
    *("prepared.look", "prepared.read", "plan.digest", "table_log.digest", "table_file.list", "file_list.read"),
    *("replay_receipt.digest", "replay_receipt.read", "label_receipt.digest", "label_receipt.read"),
)
"""Effects of attempts that start from what an earlier one left: a publish-only retry, a build from staged rows."""
REBUILDS = (
    *(
        "parity_report.look",
        "parity_report.put",
        "parity_report.read",
        "forensic.look",
        "forensic.put",
        "forensic.read",
    ),
    *("forensic.digest", "parity_table.put", "parity_table.read", "parity_table.list"),
    *("fold_record.read", "fold_record.replace", "photos.read", "photos.put"),
    *("engine.find_repeats", "engine.prove", "engine.photograph"),
)
"""Effects of a parity sweep and of a forensic run, and of their later attempts, that a build has not."""
POINTS = frozenset(f"{effect}.{side}" for effect, side in product((*EFFECTS, *LATER, *REBUILDS), ("before", "after")))
ACTIONS = ("kill", "term", "int", "hup", "group-term", "group-int", "group-hup", "stop", "error")
"""kill: SIGKILL; term, int, hup: the signal, to the driver or to its process group; stop: SIGSTOP; error: no answer."""


@dataclass(frozen=True)
class Failpoints:
    """Armed failpoints. points: point → (how many more times it is passed by, actions); driver: process id."""

    points: Mapping[str, tuple[int, tuple[str, ...]]]
    driver: int
    passed: dict[str, int] = field(default_factory=dict)

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        """What `call` answers, with what is armed done before and after it."""
        self._reach(f"{effect}.before")
        try:
            return call()
        finally:  # an answer may be that nothing stands there
            self._reach(f"{effect}.after")

    def _reach(self, point: str) -> None:
        if point not in self.points:
            return
        self.passed[point] = self.passed.get(point, 0) + 1
        turn, actions = self.points[point]
        if self.passed[point] == turn:
            for action in actions:
                self._act(action, point)

    def _act(self, action: str, point: str) -> None:
        if action == "error":
            raise OSError(errno.EIO, f"{VARIABLE}: no answer at {point}")
        name = action.removeprefix("group-")
        number = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}.get(name) or signal.Signals[f"SIG{name.upper()}"]
        if action.startswith("group-"):
            os.killpg(os.getpgid(self.driver), number)
        else:
            os.kill(self.driver, number)
        if number == signal.SIGKILL:
            os._exit(128 + number)  # a worker does not outlive its driver


def read_failpoints(environment: Mapping[str, str], kind: str) -> Failpoints | None:
    """What the environment arms, None if nothing. ENVIRONMENT_UNFIT for a point or action that does not exist.

    kind: of the wiring; a `prod` wiring refuses failpoints.
    """
    stated = environment.get(VARIABLE, "")
    if not stated:
        return None
    if kind == "prod":
        raise refuse(
            "ENVIRONMENT_UNFIT", f"{VARIABLE} is set; a prod wiring takes no failpoints", pointer=f"/{VARIABLE}"
        )
    points: dict[str, tuple[int, tuple[str, ...]]] = {}
    for one in stated.split(","):
        found = re.fullmatch(r"([a-z0-9_.]+)(?:#([1-9][0-9]{0,5}))?=([a-z+-]+)", one)
        actions = tuple(found[3].split("+")) if found else ()
        if not found or found[1] not in POINTS or not set(actions) <= set(ACTIONS):
            message = f"{VARIABLE} is no list of POINT[#N]=ACTION[+ACTION]; docs/runbook.md has points and actions"
            raise refuse("ENVIRONMENT_UNFIT", message, pointer=f"/{VARIABLE}")
        points[found[1]] = (int(found[2] or 1), actions)
    return Failpoints(points, os.getpid())
