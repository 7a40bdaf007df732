"""The plane that a call from Python opens: wiring and policy as for a command, progress as log records."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ofs_spark.foundation.commands import Caller
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import NOTE
from ofs_spark.foundation.wiring import Wiring, describe_where
from ofs_spark.io.context import open_context
from ofs_spark.workflow.context import RunContext

StrPath: TypeAlias = str | os.PathLike[str]

LOGGER = logging.getLogger("ofs_spark")


@contextmanager
def open_plane(
    wiring: StrPath | None, policy: StrPath | None = None, *, intent: str = "", reads: bool
) -> Iterator[RunContext]:
    """The context of a wiring and a policy; None: as the environment names it, else the default.

    A refusal on the way says in `next` and `do` what this caller can type; an argument that names nothing, or several
    things, is a ValueError. intent: the file that is built from, "" for none. reads: nothing is created anywhere.
    """
    given = (("--wiring", wiring), ("--policy", policy))
    program = ("ofs", *(text for flag, path in given if path is not None for text in (flag, os.fspath(path))))
    caller = Caller(program, (*program, "build", intent) if intent else (), intent)
    try:
        places = _to_path(wiring), _to_path(policy)
        with open_context(*places, _announce, reads=reads, tell=lambda found: _say_where(caller, found)) as context:
            caller.locate, caller.address = context.locate_file, context.name_address
            yield context
    except Refusal as refusal:
        refusal.tell(caller)
        raise
    except WrongArgument as wrong:
        raise ValueError(str(wrong)) from None


def _say_where(caller: Caller, wiring: Wiring) -> None:
    caller.where = describe_where(wiring)


def _to_path(stated: StrPath | None) -> Path | None:
    return None if stated is None else Path(stated)


def _announce(room: str, doing: str) -> None:
    """Progress, as a record of the logger `ofs_spark`; what a command would show as a note is a warning."""
    LOGGER.log(logging.WARNING if doing.startswith(NOTE) else logging.INFO, "%s: %s", room, doing)
