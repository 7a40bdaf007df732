"""What every command shares: its arguments' files, the plane opened around its call, its answer shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ofs_spark import console
from ofs_spark.foundation.files import read_file
from ofs_spark.foundation.ports import ObjectTooLarge

Answer: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[[argparse.Namespace], int]
AddCommand: TypeAlias = Callable[..., argparse.ArgumentParser]
"""Makes the parser of one command, named and described as the function `answer_{command}` that runs it.

(run, parent) → parser; parent: the command below which it stands: `answer_ledger_show` of `ledger` is `ofs ledger show`.
"""

INTENT = "A BuildIntent document (JSON)."
MANIFEST = "Ref of a DatasetManifest, or its dataset_manifest_id."
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
        message = f"cannot read {path}: it has {error.found} bytes; at most {error.allowed} are read"
        raise WrongUse(message) from None


def open_around(
    options: argparse.Namespace, call: Callable[[Any, Any], Answer], reads: bool = False
) -> Callable[[], Answer]:
    """A call of the pipeline, with the plane that the options name opened around it.

    All that is loaded is loaded inside the run: where a library cannot be, that too is answered.
    """

    def run() -> Answer:
        """The call's answer."""
        from ofs_spark import pipeline

        with open_plane(options, reads) as context:
            return call(pipeline, context)

    return run


@contextmanager
def open_plane(options: argparse.Namespace, reads: bool = True) -> Iterator[Any]:
    """The context that the options' wiring and policy name."""
    from ofs_spark.foundation.wiring import find_wiring_file
    from ofs_spark.io.context import open_context

    options.caller.wiring = str(find_wiring_file(options.wiring))
    with (
        make_progress(options) as progress,
        open_context(options.wiring, options.policy, progress, reads=reads, tell_tasks=progress.tell_tasks) as context,
    ):
        options.caller.locate, options.caller.address = context.locate_file, context.name_address
        yield context


def make_progress(options: argparse.Namespace) -> console.Progress:
    """Who is told of progress. A submitted job's JVM writes on the same terminal."""
    return console.Progress(None if options.quiet else sys.stderr, is_shared=hasattr(options, "submitted"))


def answer(
    options: argparse.Namespace,
    run: Callable[[], Answer],
    status: Callable[[Answer], int] = lambda _answer: 0,
    people: Callable[[Answer], None] = console.print_answer,
) -> int:
    """Prints what `run` answers, or how it ended; gives the exit status."""
    return console.answer_command(run, as_json=options.json, status=status, people=people, caller=options.caller)
