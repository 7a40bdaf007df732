"""Which engine a context has: chosen by the wiring and by how much there is to do, started when first asked for, and told.

The choice changes nothing but time: every engine gives the same dataset (docs/adr/0026).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ofs_spark.foundation.config import find_conf_root
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import NOTE, Announce, TellTasks
from ofs_spark.foundation.wiring import Wiring
from ofs_spark.foundation.wording import write_count

if TYPE_CHECKING:  # these load Arrow
    from ofs_spark.foundation.columnar.ports import Engine
    from ofs_spark.io.embedded_engine import EmbeddedEngine

WIDTH = "ofs.exchange.width"
"""Wiring key under `spark`: targets of the exchanges whose width changes nothing but speed."""
MOST_OFFSETS = 10_000_000
"""Of what `auto` gives to the embedded engine: as far as it is measured to be faster than Spark on one machine, with less of
its memory (docs/adr/0026 has the figures)."""
FEWEST_OFFSETS = 50_000
"""Of what processes are started for: they take a second to load what they need, in which this one has done as much."""
_LOG_MARK = "ofs-jvm-"
Kind: TypeAlias = Literal["spark", "embedded"]


def choose_engine(
    wiring: Wiring, offsets: int, environment: Mapping[str, str], *, is_running: bool
) -> tuple[Kind, str]:
    """The engine for a piece of work, and why, as people are told.

    offsets: how many it reads, or rows that came of them. is_running: whether this process has a Spark session.

    ENVIRONMENT_UNFIT where the wiring asks for an engine that this machine cannot run.
    """
    is_linux = sys.platform == "linux"
    if "PYSPARK_GATEWAY_PORT" in environment:
        return "spark", "this job was submitted to it"
    if wiring.engine == "embedded" and not is_linux:
        raise refuse("ENVIRONMENT_UNFIT", "engine is embedded, which needs Linux; name spark", pointer="/engine")
    if wiring.engine != "auto":
        return wiring.engine, "the wiring says so"
    if wiring.kind != "local":
        return "spark", f"the wiring is {wiring.kind}"
    if not wiring.spark.get("spark.master", "local").startswith("local"):
        return "spark", "the wiring names a cluster"
    if is_running:
        return "spark", "a session runs in this process"
    if not is_linux:
        return "spark", "the embedded engine needs Linux"
    if offsets < MOST_OFFSETS:
        return "embedded", f"{write_count(offsets, 'offset')}, fewer than {MOST_OFFSETS:,}"
    return "spark", f"{write_count(offsets, 'offset')}, {MOST_OFFSETS:,} or more"


def _has_session() -> bool:
    """Whether a Spark session runs in this process; nothing is loaded to find out."""
    if "pyspark" not in sys.modules:
        return False
    from ofs_spark.io import session

    return session.has_session()


class Engines:
    """The engines of one context: each is made when it is first asked for, and stopped with the context.

    given: makes the one engine, whatever there is to do, as tests do; None chooses by the wiring.
    """

    def __init__(
        self,
        wiring: Wiring,
        announce: Announce,
        tell_tasks: TellTasks | None,
        given: Callable[[], Engine] | None = None,
        *,
        reads: bool,
    ) -> None:
        self._wiring, self._announce, self._tell_tasks = wiring, announce, tell_tasks
        self._given = given
        self._spark = _Spark(wiring, announce, tell_tasks, reads)
        self._made: dict[str, Engine] = {}
        self._embedded: EmbeddedEngine | None = None
        self._last: Engine | None = None

    def find(self, offsets: int, rooms: str) -> Engine:
        """As `RunContext.engine`: the same one for the same choice. Errors as `choose_engine`."""
        if self._given is not None:
            kind, why = "given", ""
        else:
            kind, why = choose_engine(self._wiring, offsets, os.environ, is_running=_has_session())
        if kind == "embedded":
            self._last = self._find_embedded(offsets, rooms, why)
        elif kind not in self._made:
            self._last = self._made[kind] = self._given() if self._given else self._spark.engine(why)
        else:
            self._last = self._made[kind]
        return self._last

    def describe_versions(self) -> Mapping[str, str]:
        """What the engine that was asked for last says of itself; nothing if none was."""
        return {} if self._last is None else self._last.describe_versions()

    def stop(self) -> None:
        """Stops what this context started. Whatever goes wrong in it hides nothing that went before."""
        if self._embedded is not None:
            self._embedded.stop()
        self._spark.stop()

    def _find_embedded(self, offsets: int, rooms: str, why: str) -> EmbeddedEngine:
        """With processes where there is enough to do for them: they begin to load what they need."""
        from ofs_spark.io.embedded_engine import EmbeddedEngine, count_workers

        workers = count_workers() if offsets >= FEWEST_OFFSETS else 0
        if self._embedded is None or (workers and not self._embedded.workers):
            where = write_count(workers, "process", "processes") if workers else "in this process"
            self._announce("engine", f"embedded, {where}: {why}")
            self._embedded = EmbeddedEngine(workers, rooms=rooms, tell=self._tell_tasks)
            self._embedded.start()
        return self._embedded


class _Spark:
    """Starts Spark when it is asked for, and stops what it started."""

    def __init__(self, wiring: Wiring, announce: Announce, tell_tasks: TellTasks | None, reads: bool) -> None:
        self._wiring, self._announce, self._tell_tasks, self._reads = wiring, announce, tell_tasks, reads
        self._stop: Callable[[], None] = lambda: None

    def engine(self, why: str) -> Engine:
        """The engine over this process' session; `why` it is this one."""
        from ofs_spark.io.session import build_session, has_session, read_properties, stop_session
        from ofs_spark.io.spark_engine import SparkEngine

        submitted = "PYSPARK_GATEWAY_PORT" in os.environ
        stated = {name: value for name, value in self._wiring.spark.items() if name != WIDTH}
        settings = (
            stated if submitted else {**read_properties(Path(str(find_conf_root() / "spark" / "local.conf"))), **stated}
        )
        # Who started a session stops it: a notebook's, or a job's, goes on.
        is_running = has_session()
        self._announce("engine", f"Spark: {why}" if is_running else f"starting Spark: {why}")
        log = None if submitted or is_running else find_log(self._wiring.objects_root, self._reads)
        master = None if submitted else settings.pop("spark.master", "local[*]")
        session = build_session(settings, master, "ofs", jvm_log=log, private=self._wiring.private)
        if log is not None:

            def stop() -> None:
                """Stops the session; its log stays where that fails."""
                self._announce("engine", "stopping Spark")
                stop_session(session)
                _forget_log(log)

            self._stop = stop
        return SparkEngine(session, self._tell_tasks)

    def stop(self) -> None:
        """Stops the session if this process started one."""
        try:
            self._stop()
        except Exception as error:  # noqa: BLE001  # a JVM that is gone has nothing to stop
            self._announce("engine", f"{NOTE}Spark did not stop in order: {type(error).__name__}")


def find_log(root: str, reads: bool) -> Path:
    """The file that takes what the JVM prints: the object root's own; a new temporary one where nothing is to be, or can
    be, written there, and where the root is no folder."""
    folder = Path(root, ".spark")
    if (
        not reads
        and "://" not in root
        and os.access(folder if os.path.exists(folder) else root, os.W_OK, effective_ids=True)
    ):
        return folder / "jvm.log"
    descriptor, path = tempfile.mkstemp(prefix=_LOG_MARK, suffix=".log")
    os.close(descriptor)
    return Path(path)


def _forget_log(log: Path) -> None:
    """Removes a temporary log of a JVM that ended in order."""
    if log.name.startswith(_LOG_MARK):
        log.unlink(missing_ok=True)
