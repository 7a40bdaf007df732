"""The `ofs` command: arguments → one call of the pipeline → an answer for people or, with --json, for programs.

Standard output carries the result alone; progress and messages for people go to standard error. With --json standard
output is one JSON object, however the command ended. Exit status: 0 done, 1 a defect, 2 usage, 129, 130 or 143 after a
signal, else the status of the refusal's code.

Each command loads what it needs when it runs: the parser is the standard library's, because one that builds on a
validation library costs more than `ofs status` itself. The commands stand in `commands/`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ofs_spark import console
from ofs_spark.commands import about, cleaning, datasets, demo, intents, own_data, runs
from ofs_spark.commands.command import INTENT, Run, WrongUse
from ofs_spark.foundation.commands import NOBODY, Caller, name_file, name_program

FAMILIES = (intents, datasets, runs, cleaning, own_data, demo, about)
"""Where commands stand, in the order in which the help lists them."""
PARENTS = {"ledger": "Lists runs and shows one, as the ledger holds them."}
"""Commands that have commands below them, and what those do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `ofs` command: its exit status. SystemExit for wrong use (2) and after --help (0)."""
    _prepare_process()
    stated = sys.argv[1:] if arguments is None else list(arguments)
    parser = build_parser()
    if not stated:
        console.print_text(parser.format_help())
        return 2
    return _run(parser, stated, as_json="--json" in stated)


COMMON = "options of every command"
JOBS = {
    "build": "build_dataset.py", "backfill": "backfill_dataset.py", "parity": "parity.py", "forensic": "forensic.py",
}  # fmt: skip
"""Command → the file that spark-submit is given."""


def submit_build(arguments: Sequence[str] | None = None) -> int:
    """`ofs --json build` as spark-submit starts it, with its options in any order: its exit status."""
    return _submit("build", intents.answer_build, arguments)


def submit_backfill(arguments: Sequence[str] | None = None) -> int:
    """`ofs --json backfill`, likewise."""
    return _submit("backfill", intents.answer_backfill, arguments)


def submit_parity(arguments: Sequence[str] | None = None) -> int:
    """`ofs --json parity`, likewise."""
    return _submit("parity", intents.answer_parity, arguments)


def submit_forensic(arguments: Sequence[str] | None = None) -> int:
    """`ofs --json forensic`, likewise."""
    return _submit("forensic", intents.answer_forensic, arguments)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `ofs` and of all its commands."""
    what = "Rebuilds training data from the archived event stream, or refuses with a reason."
    parser = _Parser(prog="ofs", description=what)
    parser.add_argument("--version", action="store_true", help="Show the version, and nothing else.")
    _add_common(parser.add_argument_group("options of every command, before or after it"), first=True)
    parser.set_defaults(run=about.answer_version)
    commands = {"": parser.add_subparsers(title="commands", metavar="COMMAND")}

    def add(run: Run, parent: str = "") -> argparse.ArgumentParser:
        """The parser of one command, below `parent` where it has one."""
        if parent not in commands:
            above = commands[""].add_parser(parent, help=PARENTS[parent], description=PARENTS[parent])
            _add_common(above.add_argument_group(COMMON))
            commands[parent] = above.add_subparsers(title="commands", metavar="COMMAND", required=True)
        name = run.__name__.removeprefix("answer_").removeprefix(f"{parent}_").replace("_", "-")
        made: argparse.ArgumentParser = commands[parent].add_parser(name, help=run.__doc__, description=run.__doc__)
        made.set_defaults(run=run)
        _add_common(made.add_argument_group(COMMON))
        return made

    for family in FAMILIES:
        family.add_commands(add)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations and tells people of wrong use as the console does, with what they may have meant."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False, "formatter_class": _make_formatter})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The options, as argparse has them. Wrong use for an argument that no command takes."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{_hint(unknown[0], _list_options(self))}")
        return options

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse's own, which lists every choice: where one is near, it alone is named."""
        choices = action.choices or ()
        hint = "" if value in choices else _hint(str(value), choices)
        if hint:
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """Wrong use, with the usage."""
        raise WrongUse(message, f"{self.format_usage()}Try '{self.prog} --help' for help.")

    def print_help(self, file: Any = None) -> None:  # noqa: ARG002  # argparse names none
        """The help, on standard output. SystemExit where it cannot be written."""
        status = console.print_text(self.format_help())
        if status:
            self.exit(status)


def _list_options(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a parser and of the commands below it."""
    below = [
        one
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for one in action.choices.values()
    ]
    return {*parser._option_string_actions}.union(*map(_list_options, below))


def _hint(stated: str, known: Iterable[str]) -> str:
    """What was meant, as the end of a message; "" where nothing known is near."""
    from ofs_spark.foundation.nearest import find_nearest

    near = find_nearest(stated.partition("=")[0], known, 0.6)
    return f"; did you mean {near}?" if near else ""


def _make_formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the page: argparse itself follows COLUMNS where there is no terminal."""
    return argparse.HelpFormatter(prog, max_help_position=26, width=console.find_width(sys.stdout) - 2)


def _prepare_process() -> None:
    console.prepare_streams()
    # A thread of OpenBLAS per core costs memory before anything is computed, and where there is none it ends the process
    # without a word. OFS multiplies no matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _run(parser: argparse.ArgumentParser, stated: list[str], *, as_json: bool) -> int:
    caller = NOBODY
    try:
        options = parser.parse_args(stated)
        if getattr(options, "version", False):
            options.run = about.answer_version
        elif options.run is about.answer_version:
            parser.error("a command is required")
        console.set_log_level(options.log_level)
        options.parser, options.caller = parser, _describe_caller(options, stated)
        caller = options.caller
        status: int = options.run(options)
    except WrongUse as wrong:
        return console.answer_usage(wrong.message, wrong.usage, as_json=as_json)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # before the command itself: a file too large to read
        return console.answer_end(error, as_json=as_json, caller=caller)
    return status


def _submit(command: str, run: Run, arguments: Sequence[str] | None) -> int:
    _prepare_process()
    parser = _Parser(prog=JOBS[command], description=run.__doc__)
    parser.add_argument("intent", type=Path, help=INTENT)
    more = {"backfill": intents.add_corrections, "parity": intents.add_comparisons}.get(command)
    if more is not None:
        more(parser)
    _add_common(parser, first=True)
    parser.set_defaults(run=run, json=True, submitted=command)
    return _run(parser, sys.argv[1:] if arguments is None else list(arguments), as_json=True)


def _add_common(parser: argparse._ActionsContainer, *, first: bool = False) -> None:
    """The options of every command. first: before the command, where they have defaults; behind it they leave alone what
    was said before."""
    unsaid: Any = None if first else argparse.SUPPRESS
    flags: dict[str, Any] = {"action": "store_true", "default": False if first else argparse.SUPPRESS}
    places: dict[str, Any] = {"type": Path, "metavar": "PATH", "default": unsaid}
    parser.add_argument("--wiring", **places, help="Where things are (YAML). [env var: OFS_WIRING]")
    parser.add_argument("--policy", **places, help="Folder of policy files. [env var: OFS_POLICY]")
    parser.add_argument("--json", **flags, help="Answer with one JSON object on the last line.")
    parser.add_argument("--quiet", **flags, help="No progress.")
    levels = "error, warning, info (what a run does) or debug (every call on store, ledger and engine)"
    log: dict[str, Any] = {"choices": console.LEVELS, "metavar": "LEVEL", "default": unsaid}
    parser.add_argument("--log-level", **log, help=f"Log lines in the place of progress: {levels}.")


def _describe_caller(options: argparse.Namespace, stated: Sequence[str]) -> Caller:
    """How this process was called, for the commands that a refusal tells people to run."""
    program = name_program(sys.argv[0], sys.orig_argv[0])
    given = [("--wiring", options.wiring), ("--policy", options.policy)]
    where = [text for flag, path in given if path is not None for text in (flag, name_file(str(path)))]
    intent = str(getattr(options, "intent", ""))
    # A submitted job is called without a command; who runs it again by hand needs one.
    submitted = getattr(options, "submitted", "")
    line = (*where, submitted, name_file(intent), *intents.list_options(options)) if submitted else stated
    builds = options.run in (intents.answer_backfill, intents.answer_parity, intents.answer_forensic)
    return Caller((*program, *where), (*program, *line), intent, builds=builds)


if __name__ == "__main__":
    sys.exit(main())
