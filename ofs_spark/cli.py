"""The `ofs` command: arguments → one call of the pipeline → an answer for people or, with --json, for programs.

Standard output carries the result alone; progress and messages for people go to standard error. With --json standard
output is one JSON object, however the command ended. Exit status: 0 done, 1 a defect, 2 usage, 129, 130 or 143 after a
signal, else the status of the refusal's code.

Each command loads what it needs when it runs: the parser is the standard library's, because one that builds on a
validation library costs more than `ofs status` itself.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ofs_spark import console
from ofs_spark.foundation.commands import NOBODY, Caller, name_program
from ofs_spark.foundation.files import read_file
from ofs_spark.foundation.ports import ObjectTooLarge

Answer = dict[str, Any]
MIN_PAYMENTS = 1_000
NEWEST = 50
"""Runs that `ofs status` shows of a ledger that has more."""
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""Of a file given as an argument: a segment index lists every file of a platform run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `ofs` command: its exit status. SystemExit for wrong use (2) and after --help (0)."""
    _prepare_process()
    stated = sys.argv[1:] if arguments is None else list(arguments)
    parser = _build_parser()
    if not stated:
        console.print_text(parser.format_help())
        return 2
    return _run(parser, stated, as_json="--json" in stated)


def submit_build(arguments: Sequence[str] | None = None) -> int:
    """`ofs --json build` as spark-submit starts it, with its options in any order: its exit status."""
    _prepare_process()
    parser = _Parser(prog="build_dataset.py", description=_answer_build.__doc__)
    parser.add_argument("intent", type=Path, help="A BuildIntent document (JSON).")
    _add_places(parser)
    parser.set_defaults(run=_answer_build, json=True, quiet=False, submitted=True)
    return _run(parser, sys.argv[1:] if arguments is None else list(arguments), as_json=True)


def _prepare_process() -> None:
    console.prepare_streams()
    # A thread of OpenBLAS per core costs memory before anything is computed, and where there is none it ends the process
    # without a word. OFS multiplies no matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _run(parser: argparse.ArgumentParser, stated: list[str], *, as_json: bool) -> int:
    caller = NOBODY
    try:
        options = parser.parse_args(stated)
        options.caller = caller = _describe_caller(options, stated)
        status: int = options.run(options)
    except _WrongUse as wrong:
        return console.answer_usage(wrong.message, wrong.usage, as_json=as_json)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # before the command itself: a file too large to read
        return console.answer_end(error, as_json=as_json, caller=caller)
    return status


class _WrongUse(Exception):
    """The command is not used as it can be: what is wrong, and how it is used."""

    def __init__(self, message: str, usage: str = "") -> None:
        super().__init__(message, usage)
        self.message, self.usage = message, usage


class _Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and tells people of wrong use as the console does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """Wrong use, with the usage."""
        raise _WrongUse(message, f"{self.format_usage()}Try '{self.prog} --help' for help.")

    def print_help(self, file: Any = None) -> None:  # noqa: ARG002  # argparse names none
        """The help, on standard output. SystemExit where it cannot be written."""
        status = console.print_text(self.format_help())
        if status:
            self.exit(status)


def _build_parser() -> argparse.ArgumentParser:
    about = "Rebuilds training data from the archived event stream, or refuses with a reason."
    parser = _Parser(prog="ofs", description=about)
    _add_places(parser)
    parser.add_argument("--json", action="store_true", help="Answer with one JSON object on the last line.")
    parser.add_argument("--quiet", action="store_true", help="No progress.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        """The parser of one command: named and described as the function that runs it."""
        text = run.__doc__ or ""
        made: argparse.ArgumentParser = commands.add_parser(
            run.__name__.removeprefix("_answer_"), help=text, description=text
        )
        made.set_defaults(run=run)
        return made

    manifest = "Ref of a DatasetManifest, or its dataset_manifest_id."
    command(_answer_identity).add_argument("intent", type=Path, help="A BuildIntent document (JSON).")
    document = command(_answer_validate)
    document.add_argument("file", nargs="+", type=Path, help="Any contract document.")
    document.add_argument("--contract", help="Contract to check against; default: by its schema_version.")
    command(_answer_build).add_argument("intent", type=Path, help="A BuildIntent document (JSON).")
    command(_answer_verify).add_argument("manifest", help=manifest)
    command(_answer_show).add_argument("manifest", help=manifest)
    status = command(_answer_status)
    status.add_argument("run_key", nargs="?", help=f"A run; default: the {NEWEST} newest runs.")
    status.add_argument("--all", action="store_true", help="Every run.")
    world = command(_answer_demo)
    folder = Path("demo-world")
    world.add_argument(
        "--folder", type=Path, default=folder, help=f"Where the demo world is written. [default: {folder}]"
    )
    world.add_argument("--seed", type=int, default=20260210, help="Seed of the world. [default: 20260210]")
    events = "Events to generate; 88 %% of them are payments. [default: 350000; at least 1000]"
    world.add_argument("--payments", type=_parse_payments, default=350_000, metavar="COUNT", help=events)
    return parser


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wiring", type=Path, metavar="PATH", help="Where things are (YAML). [env var: OFS_WIRING]")
    parser.add_argument("--policy", type=Path, metavar="PATH", help="Folder of policy files. [env var: OFS_POLICY]")


def _answer_identity(options: argparse.Namespace) -> int:
    """Shows the ids an intent has: no Java, no store."""
    raw = _read_bytes(options.intent)

    def run() -> Answer:
        """The ids."""
        from ofs_spark.intent.answers import answer_identity

        return answer_identity(raw)

    return _answer(options, run)


def _answer_validate(options: argparse.Namespace) -> int:
    """Lists every fault of contract documents; of an intent also what its pins refuse, where a wiring is given."""
    files = [(str(path), _read_bytes(path)) for path in options.file]
    stated = options.wiring is not None or bool(os.environ.get("OFS_WIRING"))

    def run() -> Answer:
        """What was found of each."""
        from ofs_spark.workflow.validate import answer_validate

        return answer_validate(files, options.contract, (lambda: _open(options)) if stated else None, _require_wiring)

    return _answer(
        options,
        run,
        status=lambda found: 0 if found["valid"] else 10,
        people=console.print_validation,
    )


def _answer_build(options: argparse.Namespace) -> int:
    """Builds and publishes the dataset an intent names, or refuses."""
    raw = _read_bytes(options.intent)
    return _answer(options, _open_around(options, lambda pipeline, context: pipeline.build_dataset(raw, context)))


def _answer_verify(options: argparse.Namespace) -> int:
    """Recomputes a published dataset's digests from its stored bytes."""
    return _answer(
        options,
        _open_around(options, lambda pipeline, context: pipeline.verify_dataset(options.manifest, context), reads=True),
        status=lambda found: 0 if found["verified"] else 60,
        people=console.print_checks,
    )


def _answer_show(options: argparse.Namespace) -> int:
    """Shows a published dataset's manifest."""
    run = _open_around(options, lambda pipeline, context: pipeline.show_manifest(options.manifest, context))
    return _answer(options, run, people=console.print_manifest)


def _answer_status(options: argparse.Namespace) -> int:
    """Shows what the ledger knows of runs."""
    most = None if options.all else NEWEST
    run = _open_around(options, lambda pipeline, context: pipeline.describe_runs(options.run_key, context, most))
    program = shlex.join(options.caller.program)
    return _answer(options, run, people=lambda answer: console.print_status(answer, program=program))


def _answer_demo(options: argparse.Namespace) -> int:
    """Generates a card-fraud world, builds a dataset from it twice, and shows what happened."""

    def run() -> Answer:
        """The answer of its first build."""
        from ofs_spark.demo.command import run_demo

        page = sys.stderr if options.json else sys.stdout
        return run_demo(options.folder, options.seed, options.payments, _make_progress(options), page)

    return _answer(options, run, people=lambda _answer: None)  # the demo has shown its summary


def _parse_payments(text: str) -> int:
    if not (text.isdecimal() and int(text) >= MIN_PAYMENTS):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {MIN_PAYMENTS}")
    return int(text)


def _describe_caller(options: argparse.Namespace, stated: Sequence[str]) -> Caller:
    """How this process was called, for the commands that a refusal tells people to run."""
    program = name_program(sys.argv[0])
    given = [("--wiring", options.wiring), ("--policy", options.policy)]
    where = [text for flag, path in given if path is not None for text in (flag, str(path))]
    intent = str(getattr(options, "intent", ""))
    # A submitted job is called without a command; who runs it again by hand needs one.
    line = (*where, "build", intent) if getattr(options, "submitted", False) else stated
    return Caller((program, *where), (program, *line), intent)


def _read_bytes(path: Path) -> bytes:
    """The argument's file. Wrong use if it is no regular file, or has more bytes than any document."""
    try:
        return read_file(path, MAX_DOCUMENT_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _WrongUse(f"cannot read {path}: {reason}") from None
    except ObjectTooLarge as error:
        message = f"cannot read {path}: it has {error.found} bytes; at most {error.allowed} are read"
        raise _WrongUse(message) from None


def _open_around(
    options: argparse.Namespace, call: Callable[[Any, Any], Answer], reads: bool = False
) -> Callable[[], Answer]:
    """A call of the pipeline, with the plane that the options name opened around it.

    All that is loaded is loaded inside the run: where a library cannot be, that too is answered.
    """

    def run() -> Answer:
        """The call's answer."""
        from ofs_spark import pipeline

        with _open(options, reads) as context:
            return call(pipeline, context)

    return run


@contextmanager
def _open(options: argparse.Namespace, reads: bool = True) -> Iterator[Any]:
    from ofs_spark.io.context import open_context

    with open_context(options.wiring, options.policy, _make_progress(options), reads=reads) as context:
        options.caller.locate = context.locate_file
        yield context


def _require_wiring(document: Any, file: str) -> None:
    from ofs_spark.io.context import require_wiring  # loads what an intent does without

    require_wiring(document, file)


def _make_progress(options: argparse.Namespace) -> Callable[[str, str], None]:
    return console.report_nothing if options.quiet else console.Progress(sys.stderr)


def _answer(
    options: argparse.Namespace,
    run: Callable[[], Answer],
    status: Callable[[Answer], int] = lambda _answer: 0,
    people: Callable[[Answer], None] = console.print_answer,
) -> int:
    """Prints what `run` answers, or how it ended; gives the exit status."""
    return console.answer_command(run, as_json=options.json, status=status, people=people, caller=options.caller)


if __name__ == "__main__":
    sys.exit(main())
