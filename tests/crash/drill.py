"""One folder, one ledger, and drivers of the in-memory engine that end as a drill says."""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Lock
from typing import Any, TypeVar

from ofs_spark import pipeline
from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.foundation.errors import refuse
from ofs_spark.intent.backfill import Correction
from ofs_spark.intent.model import V1
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.process import is_gone
from ofs_spark.io.watched import watch
from ofs_spark.workflow.context import RunContext
from tests.acceptance.test_closure import TRAINING
from tests.invariants.check import find_violations
from tests.invariants.history import History
from tests.worlds.writer import Written, write_world

Answer = TypeVar("Answer")

MEMORY = Path("/dev/shm")
PARENT = MEMORY if MEMORY.is_dir() else None
"""Where drills run: thousands of files are synced, and a disk would be all that is measured."""


LEASE_S = 3 * 3600
"""A driver's: effects are counted, and a heartbeat, which comes every third of it, is one at no place of its own."""


class Killed(BaseException):
    """The process is gone: nothing of it happens any more."""


_ONE_AT_A_TIME = Lock()
_WATCHERS: dict[int, Watcher] = {}


class Watcher:
    """Stands around the effects of one driver. Steps are pickled on their way to workers; they come back to this one."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        _WATCHERS[id(self)] = self

    def __reduce__(self) -> tuple[Callable[[int], Watcher], tuple[int]]:
        return _find_watcher, (id(self),)

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        """Lets everything pass, and remembers it."""
        self.seen.append(effect)
        return call()


def _find_watcher(number: int) -> Watcher:
    """The watcher of this process; another process has none, and nothing is watched there."""
    return _WATCHERS.get(number) or Watcher()


class Kill(Watcher):
    """Kills its driver before its n-th effect; the rest of the driver finds no outside any more."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        if len(self.seen) >= self.at:
            raise Killed
        self.seen.append(effect)
        return call()


class EndAt(Watcher):
    """Ends its driver in order before an effect, as a dead JVM or a full disk does."""

    def __init__(self, effect: str) -> None:
        super().__init__()
        self.effect = effect

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        if effect == self.effect:
            raise refuse("ENVIRONMENT_UNFIT", f"the drill ends at {effect}")
        return super().__call__(effect, call)


def select_own(seen: list[str]) -> list[str]:
    """The effects of a later attempt that are its own: what follows a commit is told as that of a build is."""
    return seen[: seen.index("publication.put")]


@dataclass
class Drill:
    """A world that drivers work on, one after the other. Each driver has a name; `dead` ones are known to be gone."""

    written: Written
    history: History = field(default_factory=History)
    dead: set[str] = field(default_factory=set)
    drivers: int = 0

    def drive(
        self,
        around: Watcher,
        request_id: str = "",
        engine: Callable[[], Engine] = EmbeddedEngine,
        supersedes: str = "",
        stamp: str = "",
    ) -> dict[str, Any] | BaseException:
        """One driver's build, or backfill of `supersedes`, as `run`.

        stamp: the correction stamp, by which backfills of one dataset differ.
        """

        def build(watched: RunContext) -> dict[str, Any]:
            if supersedes:
                asked = Correction(supersedes, reason_code="DRILL")
                return pipeline.backfill_dataset(self.ask(request_id, stamp), asked, watched)
            return pipeline.build_dataset(self.ask(request_id), watched)

        return self.run(build, around, engine)

    def run(
        self,
        command: Callable[[RunContext], dict[str, Any]],
        around: Watcher,
        engine: Callable[[], Engine] = EmbeddedEngine,
    ) -> dict[str, Any] | BaseException:
        """One driver's command: its answer, or what ended it. A driver that has returned is gone."""
        self.drivers += 1
        name = f"driver:{self.drivers}"
        with open_context(self.written.wiring, None, lambda _room, _doing: None, engine) as context:
            limits = replace(context.control.limits, lease_s=LEASE_S)
            control = replace(context.control, owner=name, limits=limits, is_gone=self.is_gone, pause=lambda _s: None)
            try:
                return command(watch(replace(context, control=control), around))
            except BaseException as error:  # noqa: BLE001  # whatever ends a driver is what a drill looks at
                return error
            finally:
                self.dead.add(name)
                del _WATCHERS[id(around)]

    def is_gone(self, name: str) -> bool:
        """Whether a driver is known to be gone: one of this drill, or a process of its own."""
        return name in self.dead or is_gone(name)

    def ask(self, request_id: str = "", stamp: str = "") -> bytes:
        """The intent, under another request id where one is given, and with a correction stamp."""
        document = json.loads(self.written.intent.read_bytes())
        stamped = {"schema_version": V1, "correction_stamp": stamp} if stamp else {}
        return json.dumps({**document, **stamped, "request_id": request_id or document["request_id"]}).encode()

    def find_violations(self, *, settled: bool) -> list[str]:
        """What is broken by now, in the words of the checker that knows nothing of the package."""
        return find_violations(self.written.root, self.ledger, self.history, settled=settled)

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.written.root.parent / "ledger.sqlite"


@cache
def template() -> Written:
    folder = Path(mkdtemp(prefix="ofs-drill-world-", dir=PARENT))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_world(TRAINING, folder)


@cache
def expected_digest() -> str:
    """The content digest of the world's dataset."""
    with Place() as drill:
        answer = drill.drive(Watcher())
        assert isinstance(answer, dict), answer
        return str(answer["content_digest"])


class Place(TemporaryDirectory[str]):
    """A copy of a world, the builds' if no other, in a folder of its own, gone afterwards."""

    def __init__(self, world: Callable[[], Written] = template) -> None:
        super().__init__(prefix="ofs-drill-", dir=PARENT)
        self._world = world

    def __enter__(self) -> Drill:  # type: ignore[override]  # what is entered is the drill
        """The drill."""
        with _ONE_AT_A_TIME:
            world, new = self._world(), Path(super().__enter__())
        old = world.root.parent
        shutil.copytree(old, new, dirs_exist_ok=True)
        moved = {name: new / path.relative_to(old) for name, path in vars(world).items() if isinstance(path, Path)}
        wiring = new / "wiring.yaml"
        wiring.write_text(wiring.read_text().replace(str(old), str(new)))
        segments = tuple(new / path.relative_to(old) for path in world.segments)
        return Drill(replace(world, segments=segments, **moved))


def clear(drill: Drill, around: Watcher, hours: float = 1_000.0) -> dict[str, Any] | BaseException:
    """A gc that takes place so many hours from now: its answer, or what ended it."""
    clock = FixedClock(datetime.now(UTC) + timedelta(hours=hours))
    with open_context(drill.written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as context:
        try:
            return pipeline.clear_orphans((), None, watch(replace(context, clock=clock), around), removes=True)
        except BaseException as error:  # noqa: BLE001  # whatever ends it is what a drill looks at
            return error
        finally:
            del _WATCHERS[id(around)]


def require_whole(
    drill: Drill, what: str, request_id: str = "", engine: Callable[[], Engine] = EmbeddedEngine, supersedes: str = ""
) -> None:
    """A clean driver ends with the one dataset, and nothing is broken."""
    answer = drill.drive(Watcher(), request_id, engine, supersedes)
    assert isinstance(answer, dict), f"{what}: {answer!r}"
    assert answer["outcome"] in ("COMMITTED", "ALREADY_PUBLISHED"), what
    assert answer["content_digest"] == expected_digest(), what
    assert drill.find_violations(settled=True) == [], what
