"""The context of a process: adapters for what the wiring names, and an engine started on first use."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.clock import Clock, SystemClock
from ofs_spark.foundation.config import read_code_release
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.policy import Policy, load_policy
from ofs_spark.foundation.ports import NOTE, Announce, TellTasks
from ofs_spark.foundation.wiring import Wiring, parse_wiring
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import HOUR_S, Limits
from ofs_spark.io.adapters import (
    count_readers,
    find_notes,
    list_table_options,
    load_wiring,
    open_ledger,
    open_objects,
    require_root,
    serve_wiring,
)
from ofs_spark.io.engines import WIDTH, Engines
from ofs_spark.io.failpoints import read_failpoints
from ofs_spark.io.logged import LogCalls, is_logging
from ofs_spark.io.process import is_gone, name_process
from ofs_spark.io.watched import watch
from ofs_spark.workflow.context import RunContext

if TYPE_CHECKING:  # loads Arrow
    from ofs_spark.foundation.columnar.ports import Engine


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
    """The context of `wiring` and `policy`, which creates nothing; `engine` is the one it has, as in tests.

    tell_tasks: told how far the engine's jobs are. tell: told the wiring as soon as it is read, before anything is asked of what
    it names.
    reads: for a command that only reads: not even Spark's log is written into the object root.

    Stops the engine it started. ENVIRONMENT_UNFIT for a wiring, a policy or a ledger that is of no use.
    """
    where = load_wiring(wiring)
    tell(where)
    meaning = load_policy(policy)
    require_root(where)
    width, failpoints = _read_width(where), read_failpoints(os.environ, where.kind)
    for note in find_notes(where):
        announce("intent", f"{NOTE}{note}")
    engines = Engines(where, announce, tell_tasks, engine, reads=reads)
    context = _make_context(where, meaning, announce, engines, width)
    try:
        context = watch(context, LogCalls()) if is_logging() else context
        yield watch(context, failpoints) if failpoints else context
    finally:
        engines.stop()


def require_wiring(document: Any, file: str) -> None:
    """ENVIRONMENT_UNFIT for a wiring that no command takes in this environment; whether anything stands at its addresses
    is not asked. `file`: where the document stands."""
    _read_width(serve_wiring(parse_wiring(document, Path(file))))


def _make_context(wiring: Wiring, policy: Policy, announce: Announce, engines: Engines, width: int) -> RunContext:
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
        engine=engines.find,
        environment=lambda: {**_describe_process(), **engines.describe_versions()},
        announce=announce,
        clearable=objects,
        width=width,
        readers=count_readers(wiring.objects_root),
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


class _LazyTables:
    """Delta tables through delta-rs, loaded when the first table is committed; with the credentials of then."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def create(self, *args: object, **named: object) -> None:
        """As `DeltaTables.create`."""
        from ofs_spark.io.delta import DeltaTables

        DeltaTables(list_table_options(self._wiring)).create(*args, **named)  # type: ignore[arg-type]  # passed on as it came


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
