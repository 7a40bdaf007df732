"""What every command shares: its arguments' files, the plane opened around its call, its answer shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ofs_spark import console
from ofs_spark.foundation.files import read_file
from ofs_spark.foundation.ports import ObjectTooLarge
from ofs_spark.foundation.wording import write_count

Answer: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[[argparse.Namespace], int]
AddCommand: TypeAlias = Callable[..., argparse.ArgumentParser]
"""Makes the parser of one command, named and described as the function `answer_{command}` that runs it.

(run, parent) → parser; parent: the command below which it stands: `answer_ledger_show` of `ledger` is `ofs ledger show`.
"""

INTENT = "A BuildIntent document (JSON)."
MANIFEST = "Ref of a DatasetManifest, or its dataset_manifest_id, or that one's beginning: dm_ and six digits or more."
NEWEST = 50
"""Runs or datasets that a list shows of a ledger that has more."""
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""Of a file given as an argument: a segment index lists every file of a platform run."""


class WrongUse(Exception):
    """The command is not used as it can be: what is wrong, and how it is used."""

    def __init__(self, message: str, usage: str = "") -> None:
        super().__init__(message, usage)
        self.message, self.usage = message, usage


def read_argument(path: Path) -> bytes:
    """The argument's file. Wrong use if it is no regular file, or has more bytes than any document."""
    try:
        return read_file(path, MAX_DOCUMENT_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WrongUse(f"cannot read {path}: {reason}") from None
    except ObjectTooLarge as error:
        message = f"cannot read {path}: it has {write_count(error.found, 'byte')}; at most {error.allowed:,} are read"
        raise WrongUse(message) from None


def open_around(
    options: argparse.Namespace, call: Callable[[Any, Any], Answer], reads: bool = False
) -> Callable[[], Answer]:
    """A call of the pipeline, with the plane that the options name opened around it.

    All that is loaded is loaded inside the run: where a library cannot be, that too is answered. The answer says where it
    was given, and beside refs where they are.
    """

    def run() -> Answer:
        """The call's answer."""
        from ofs_spark import pipeline
        from ofs_spark.workflow.context import state_paths

        with open_plane(options, reads) as context:
            return state_where(options, state_paths(call(pipeline, context), context))

    return run


def state_where(options: argparse.Namespace, found: Answer) -> Answer:
    """The answer with `where` it was given, if a wiring was read."""
    return {**found, "where": dict(options.caller.where)} if options.caller.where else found


@contextmanager
def open_plane(options: argparse.Namespace, reads: bool = True) -> Iterator[Any]:
    """The context that the options' wiring and policy name. The first line for people says which they are."""
    from ofs_spark.foundation.wiring import choose_wiring, describe_where
    from ofs_spark.io.context import open_context

    file, chosen_by = choose_wiring(options.wiring)
    options.caller.where = options.caller.where or {"wiring": os.path.abspath(file), "chosen_by": chosen_by}

    def tell(wiring: Any) -> None:
        """Keeps it for the answer, and tells people."""
        options.caller.where = describe_where(wiring)
        _tell_where(options)

    with (
        make_progress(options) as progress,
        open_context(
            options.wiring, options.policy, progress, reads=reads, tell_tasks=progress.tell_tasks, tell=tell
        ) as context,
    ):
        options.caller.locate, options.caller.address = context.locate_file, context.name_address
        yield context


def _tell_where(options: argparse.Namespace) -> None:
    """Says it once, however many documents of one command open the plane."""
    if getattr(options, "has_told_where", False):
        return
    options.has_told_where = True
    if options.log_level is not None:
        console.log_step("wiring", console.show_where(options.caller.where))
    elif not options.quiet:
        console.print_where(options.caller.where)


def make_progress(options: argparse.Namespace) -> console.Progress:
    """Who is told of progress: people, or the log in their place. A submitted job's JVM writes on the same terminal."""
    if options.log_level is not None:
        return console.LoggedProgress()
    return console.Progress(None if options.quiet else sys.stderr, is_shared=hasattr(options, "submitted"))


def answer(
    options: argparse.Namespace,
    run: Callable[[], Answer],
    status: Callable[[Answer], int] = lambda _answer: 0,
    people: Callable[[Answer], None] = console.print_answer,
) -> int:
    """Prints what `run` answers, or how it ended; gives the exit status."""
    return console.answer_command(run, as_json=options.json, status=status, people=people, caller=options.caller)
