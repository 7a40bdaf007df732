"""The `ofs` command: arguments → one call of the pipeline → an answer for people or, with --json, for programs.

Standard output carries the result alone; progress and messages for people go to standard error. With --json the last
line of standard output is one JSON object. Exit status: 0 done, 2 usage, else the status of the refusal's code.

Each command loads what it needs when it runs: the parser is the standard library's, because one that builds on a
validation library costs more than `ofs status` itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ofs_spark import console
from ofs_spark.foundation.commands import Caller, name_program
from ofs_spark.foundation.errors import OfsError, Refusal

Answer = dict[str, Any]
MIN_PAYMENTS = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `ofs` command: its exit status. SystemExit for wrong use (2) and after --help (0)."""
    stated = sys.argv[1:] if arguments is None else list(arguments)
    parser = _build_parser()
    if not stated:
        parser.print_help()
        return 2
    options = parser.parse_args(stated)
    options.caller = _describe_caller(options, stated)
    status: int = options.run(options)
    return status


class _Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and tells people of wrong use as the console does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """Exit 2, with the usage."""
        console.print_usage_error(message, f"{self.format_usage()}Try '{self.prog} --help' for help.")
        raise SystemExit(2)


def _build_parser() -> argparse.ArgumentParser:
    about = "Rebuilds training data from the archived event stream, or refuses with a reason."
    parser = _Parser(prog="ofs", description=about)
    parser.add_argument("--wiring", type=Path, metavar="PATH", help="Where things are (YAML). [env var: OFS_WIRING]")
    parser.add_argument("--policy", type=Path, metavar="PATH", help="Folder of policy files. [env var: OFS_POLICY]")
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
    document.add_argument("file", type=Path, help="Any contract document.")
    document.add_argument("--contract", help="Contract to check against; default: by its schema_version.")
    command(_answer_build).add_argument("intent", type=Path, help="A BuildIntent document (JSON).")
    command(_answer_verify).add_argument("manifest", help=manifest)
    command(_answer_show).add_argument("manifest", help=manifest)
    command(_answer_status).add_argument("run_key", nargs="?", help="A run; default: every run.")
    world = command(_answer_demo)
    folder = Path("demo-world")
    world.add_argument(
        "--folder", type=Path, default=folder, help=f"Where the demo world is written. [default: {folder}]"
    )
    world.add_argument("--seed", type=int, default=20260210, help="Seed of the world. [default: 20260210]")
    events = "Events to generate; 88 %% of them are payments. [default: 350000; at least 1000]"
    world.add_argument("--payments", type=_parse_payments, default=350_000, metavar="COUNT", help=events)
    return parser


def _answer_identity(options: argparse.Namespace) -> int:
    """Shows the ids an intent has: no Java, no store."""
    from ofs_spark.intent.answers import answer_identity

    raw = _read_bytes(options.intent)
    return _answer(options, lambda: answer_identity(raw))


def _answer_validate(options: argparse.Namespace) -> int:
    """Lists every fault of a contract document: no Java, no store."""
    from ofs_spark.intent.answers import answer_validate

    raw = _read_bytes(options.file)
    return _answer(
        options, lambda: answer_validate(raw, options.contract), status=lambda found: 0 if found["valid"] else 10
    )


def _answer_build(options: argparse.Namespace) -> int:
    """Builds and publishes the dataset an intent names, or refuses."""
    from ofs_spark import pipeline

    raw = _read_bytes(options.intent)
    return _answer(options, _open_around(options, lambda context: pipeline.build_dataset(raw, context)))


def _answer_verify(options: argparse.Namespace) -> int:
    """Recomputes a published dataset's digests from its stored bytes."""
    from ofs_spark import pipeline

    return _answer(
        options,
        _open_around(options, lambda context: pipeline.verify_dataset(options.manifest, context)),
        status=lambda found: 0 if found["verified"] else 60,
        people=console.print_checks,
    )


def _answer_show(options: argparse.Namespace) -> int:
    """Shows a published dataset's manifest."""
    from ofs_spark import pipeline

    run = _open_around(options, lambda context: pipeline.show_manifest(options.manifest, context))
    return _answer(options, run, people=console.print_manifest)


def _answer_status(options: argparse.Namespace) -> int:
    """Shows what the ledger knows of runs."""
    from ofs_spark import pipeline

    run = _open_around(options, lambda context: pipeline.describe_runs(options.run_key, context))
    return _answer(options, run, people=console.print_status)


def _answer_demo(options: argparse.Namespace) -> int:
    """Generates a card-fraud world, builds a dataset from it twice, and shows what happened."""
    from ofs_spark.demo.command import run_demo

    return _answer(
        options,
        lambda: run_demo(options.folder, options.seed, options.payments, _make_progress(options)),
        people=lambda _answer: None,  # the demo has shown its summary
    )


def _parse_payments(text: str) -> int:
    if not (text.isdecimal() and int(text) >= MIN_PAYMENTS):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {MIN_PAYMENTS}")
    return int(text)


def _describe_caller(options: argparse.Namespace, stated: Sequence[str]) -> Caller:
    """How this process was called, for the commands that a refusal tells people to run."""
    program = name_program(sys.argv[0])
    given = [("--wiring", options.wiring), ("--policy", options.policy)]
    where = [text for flag, path in given if path is not None for text in (flag, str(path))]
    return Caller((program, *where), (program, *stated), str(getattr(options, "intent", "")))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        console.print_usage_error(f"cannot read {path}: {error.strerror}")
        raise SystemExit(2) from None


def _open_around(options: argparse.Namespace, call: Callable[[Any], Answer]) -> Callable[[], Answer]:
    """A call of the pipeline, with the plane that the options name opened around it."""

    def run() -> Answer:
        """The call's answer."""
        from ofs_spark.io.context import open_context

        with open_context(options.wiring, options.policy, _make_progress(options)) as context:
            options.caller.locate = context.locate_file
            return call(context)

    return run


def _make_progress(options: argparse.Namespace) -> Callable[[str, str], None]:
    return console.report_nothing if options.quiet else console.Progress(sys.stderr)


def _answer(
    options: argparse.Namespace,
    run: Callable[[], Answer],
    status: Callable[[Answer], int] = lambda _answer: 0,
    people: Callable[[Answer], None] = console.print_answer,
) -> int:
    """Prints what `run` answers, or its refusal; gives the exit status."""
    with _catch_stop():
        try:
            answer = run()
            code = status(answer)
        except Refusal as refusal:
            answer, code, people = refusal.to_document(options.caller), refusal.exit_status, console.print_refusal
        except OfsError as error:
            answer, code, people = {"outcome": "FAILED", "message": str(error)}, 1, console.print_answer
    if options.json:
        console.print_json(answer)
    else:
        people(answer)
    return code


class _Stopped(BaseException):
    """SIGTERM, as an exception: what is under way ends in order."""

    exit_status = 143


@contextmanager
def _catch_stop() -> Iterator[None]:
    """Ctrl-C ends the process with 130 and SIGTERM with 143, after the ledger was told."""

    def stop(_number: int, _frame: object) -> None:
        """Ends what is under way."""
        raise _Stopped

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, _Stopped) as stopped:
        status = getattr(stopped, "exit_status", 130)
        console.print_stop()
        os._exit(status)  # not by way of atexit: the JVM may be busy, and ends with this process
    finally:
        signal.signal(signal.SIGTERM, previous)


if __name__ == "__main__":
    sys.exit(main())
