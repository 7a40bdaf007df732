"""The context of a process: adapters for what the wiring names, and Spark started on first use."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.clock import Clock, SystemClock
from ofs_spark.foundation.config import find_conf_root, read_code_release
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.policy import Policy, load_policy
from ofs_spark.foundation.ports import NOTE, Announce, TellTasks
from ofs_spark.foundation.wiring import Wiring, parse_wiring
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import HOUR_S, Limits
from ofs_spark.io.adapters import (
    find_notes,
    list_table_options,
    load_wiring,
    open_ledger,
    open_objects,
    require_root,
    serve_wiring,
)
from ofs_spark.io.failpoints import read_failpoints
from ofs_spark.io.logged import LogCalls, is_logging
from ofs_spark.io.process import is_gone, name_process
from ofs_spark.io.watched import watch
from ofs_spark.workflow.context import RunContext

if TYPE_CHECKING:  # loads Arrow
    from ofs_spark.foundation.columnar.ports import Engine

WIDTH = "ofs.exchange.width"
"""Wiring key under `spark`: targets of the exchanges whose width changes nothing but speed."""
_LOG_MARK = "ofs-jvm-"


@contextmanager
def open_context(
    wiring: Path | None,
    policy: Path | None,
    announce: Announce,
    engine: Callable[[], Engine] | None = None,
    *,
    reads: bool = False,
    tell_tasks: TellTasks | None = None,
    tell: Callable[[Wiring], None] = lambda _wiring: None,
) -> Iterator[RunContext]:
    """The context of `wiring` and `policy`, which creates nothing; `engine` replaces Spark, as tests do.

    tell_tasks: told how far Spark's jobs are. tell: told the wiring as soon as it is read, before anything is asked of what
    it names.
    reads: for a command that only reads: not even Spark's log is written into the object root.

    Stops the Spark it started. ENVIRONMENT_UNFIT for a wiring, a policy or a ledger that is of no use.
    """
    where = load_wiring(wiring)
    tell(where)
    meaning = load_policy(policy)
    require_root(where)
    width, failpoints = _read_width(where), read_failpoints(os.environ, where.kind)
    for note in find_notes(where):
        announce("intent", f"{NOTE}{note}")
    spark = _Spark(where, announce, tell_tasks, reads)
    context = _make_context(where, meaning, announce, _OneEngine(engine or spark.engine), width)
    try:
        context = watch(context, LogCalls()) if is_logging() else context
        yield watch(context, failpoints) if failpoints else context
    finally:
        spark.stop()


def require_wiring(document: Any, file: str) -> None:
    """ENVIRONMENT_UNFIT for a wiring that no command takes in this environment; whether anything stands at its addresses
    is not asked. `file`: where the document stands."""
    _read_width(serve_wiring(parse_wiring(document, Path(file))))


def _make_context(wiring: Wiring, policy: Policy, announce: Announce, used: _OneEngine, width: int) -> RunContext:
    """The context over what the wiring names; nothing is started."""
    clock, objects = SystemClock(), open_objects(wiring.objects_root, wiring.store)
    return RunContext(
        wiring=wiring,
        policy=policy,
        release=read_code_release(),
        objects=objects,
        profiles=open_objects(wiring.profiles_root, wiring.store),
        control=_open_control(wiring, policy, clock),
        tables=_LazyTables(wiring),
        clock=clock,
        engine=used.get,
        environment=lambda: {**_describe_process(), **used.describe_versions()},
        announce=announce,
        clearable=objects,
        width=width,
    )


def _open_control(wiring: Wiring, policy: Policy, clock: Clock) -> RunControl:
    limits = Limits(policy.attempts, policy.publish_retries, policy.lease_seconds, policy.run_limit_hours * HOUR_S)
    return RunControl(open_ledger(wiring.ledger_dsn), clock, name_process(), limits, is_gone)


def _read_width(wiring: Wiring) -> int:
    stated = wiring.spark.get(WIDTH, "8")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", stated):
        message = f"spark.{WIDTH} is no whole number from 1 to 99999"
        raise refuse("ENVIRONMENT_UNFIT", message, pointer=f"/spark/{WIDTH}")
    return int(stated)


class _OneEngine:
    """The engine of one context: made when it is first asked for."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None

    def get(self) -> Engine:
        """The engine, the same one each time."""
        if self._engine is None:
            self._engine = self._make()
        return self._engine

    def describe_versions(self) -> Mapping[str, str]:
        """What the engine says of itself; nothing if none was asked for."""
        return {} if self._engine is None else self._engine.describe_versions()


class _LazyTables:
    """Delta tables through delta-rs, loaded when the first table is committed; with the credentials of then."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def create(self, *args: object, **named: object) -> None:
        """As `DeltaTables.create`."""
        from ofs_spark.io.delta import DeltaTables

        DeltaTables(list_table_options(self._wiring)).create(*args, **named)  # type: ignore[arg-type]  # passed on as it came


class _Spark:
    """Starts Spark when the first engine is asked for, and stops what it started."""

    def __init__(self, wiring: Wiring, announce: Announce, tell_tasks: TellTasks | None, reads: bool) -> None:
        self._wiring, self._announce, self._tell_tasks, self._reads = wiring, announce, tell_tasks, reads
        self._stop: Callable[[], None] = lambda: None

    def engine(self) -> Engine:
        """The engine over this process' session."""
        from ofs_spark.io.session import build_session, has_session, read_properties, stop_session
        from ofs_spark.io.spark_engine import SparkEngine

        submitted = "PYSPARK_GATEWAY_PORT" in os.environ
        stated = {name: value for name, value in self._wiring.spark.items() if name != WIDTH}
        settings = (
            stated if submitted else {**read_properties(Path(str(find_conf_root() / "spark" / "local.conf"))), **stated}
        )
        # Who started a session stops it: a notebook's, or a job's, goes on.
        is_running = has_session()
        if not is_running:
            self._announce("engine", "starting Spark")
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
        """Stops the session if this process started one. Whatever goes wrong in it hides nothing that went before."""
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


def _describe_process() -> Mapping[str, str]:
    """Versions of this process: what computes, and writes the table's files and its log."""
    import deltalake
    import pyarrow

    return {
        "code": read_code_release(),
        "python": platform.python_version(),
        "delta": f"delta-rs {deltalake.__version__}",
        "arrow": pyarrow.__version__,
    }
