"""Commands that make a folder to work in: `ofs init` with a sample, `ofs import` with own data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ofs_spark import console
from ofs_spark.commands.command import AddCommand, Answer, WrongUse, answer, make_progress
from ofs_spark.foundation.commands import Next, name_program

_FORMATS = "JSON lines, CSV or Parquet, as its name ends"
_OPTIONS = (
    ("--events", "FILE", f"The events: {_FORMATS}."),
    ("--id", "COLUMN", "What tells events apart."),
    ("--time", "COLUMN", "When the event happened: RFC 3339 in UTC."),
    ("--type", "COLUMN", "What kind of event it is."),
    ("--type-is", "NAME", "The kind of every event, where no column names it."),
    ("--arrival", "COLUMN", "When the event had been delivered. Without it, features look at event time alone."),
    (
        "--partition-by",
        "COLUMN",
        "Deals the events to eight partitions by this column's value. Default: one partition.",
    ),
    ("--offset", "COLUMN", "The offset that the event had where it comes from. Default: the number of the row."),
    ("--partition", "COLUMN", "The partition that the offset belongs to. Default: 0."),
    ("--labels", "FILE", f"The labels: {_FORMATS}."),
    ("--label-event", "COLUMN", "The id of the event that a label is about."),
    ("--label-type", "NAME", "fraud_disposition, chargeback_status or account_takeover."),
    ("--label-value", "COLUMN", "What the label says."),
    ("--label-observed", "COLUMN", "When the label became known."),
    ("--label-effective", "COLUMN", "When it became true. Default: when it became known."),
    ("--separator", "MARK", "What separates the values of a line of CSV: comma (default), semicolon, tab or pipe."),
    ("--label-separator", "MARK", "The same of the labels. Default: as --separator."),
)
_USAGE = """%(prog)s DIR --events FILE --id COLUMN --time COLUMN
                  (--type COLUMN | --type-is NAME) [options]"""
_LISTS = (
    ("--id-from", "COLUMN", "Columns that ids are hashed from, where none is an id."),
    ("--key", "COLUMN", "Whose history features look at: customer, card, terminal …; a group of features for each."),
    ("--label-map", "SEEN=VALUE", "What a value of the file means, such as 1=FRAUD_CONFIRMED; others are rejected."),
)


def add_commands(add: AddCommand) -> None:
    """init, import."""
    add(answer_init).add_argument("folder", type=Path, metavar="DIR", help="A new or empty folder.")
    parser = add(answer_import)
    parser.usage = _USAGE
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="A new or empty folder, which becomes an object root. It stands before the options: some take several values.",
    )
    for option, metavar, about in _OPTIONS:
        kind = Path if metavar == "FILE" else str
        parser.add_argument(option, type=kind, metavar=metavar, help=about)
    for option, metavar, about in _LISTS:
        parser.add_argument(option, nargs="+", action="extend", metavar=metavar, help=about)
    parser.add_argument("--map", type=Path, metavar="FILE", help="The same, in YAML: option names without dashes.")


def answer_import(options: argparse.Namespace) -> int:
    """Makes an object root with wiring, profile and intent of your own events and labels, ready to be built."""
    stated = _list_stated(options)

    def run() -> Answer:
        """What was written, and what to run next."""
        from ofs_spark.intake.command import import_own_data
        from ofs_spark.intake.declared import read_declared

        declared = read_declared(stated, options.map)
        with make_progress(options) as progress:
            found = import_own_data(declared, options.folder, _read_releases(options), progress)
        return {**found, "next": _write_next(options, found)}

    return answer(options, run, people=console.print_import)


def answer_init(options: argparse.Namespace) -> int:
    """Writes a folder that builds as it is: sample payments and verdicts, commented wiring, policy, profile, an intent."""

    def run() -> Answer:
        """What was written, and what to run next."""
        from ofs_spark.demo.init import init_folder

        with make_progress(options) as progress:
            found = init_folder(options.folder, _read_releases(options), progress)
        return {**found, "next": _write_next(options, found)}

    return answer(options, run, people=console.print_import)


def _read_releases(options: argparse.Namespace) -> dict[str, str]:
    """The revisions that an intent of now states."""
    from ofs_spark.foundation.policy import load_policy, state_releases

    return state_releases(load_policy(options.policy))


def _list_stated(options: argparse.Namespace) -> dict[str, Any]:
    """Option, without dashes in front → what was given, None for nothing."""
    names = [option for option, _, _ in (*_OPTIONS, *_LISTS)]
    stated = {name[2:]: getattr(options, name[2:].replace("-", "_")) for name in names}
    pairs = stated["label-map"]
    return stated | {"label-map": None if pairs is None else _read_pairs(pairs)}


def _read_pairs(pairs: list[str]) -> dict[str, str]:
    """Seen → meant. Wrong use for a text without =, and for one value that means two things."""
    found: dict[str, str] = {}
    for pair in pairs:
        seen, sign, meant = pair.rpartition("=")
        if not sign or not seen:
            raise WrongUse(f"--label-map {pair}: SEEN=VALUE is required, such as 1=FRAUD_CONFIRMED")
        if found.setdefault(seen, meant) != meant:
            raise WrongUse(f"--label-map: {seen} is {found[seen]} and {meant}")
    return found


def _write_next(options: argparse.Namespace, found: Answer) -> str:
    """The command that builds what was imported."""
    program = (*name_program(sys.argv[0], sys.orig_argv[0]), "--wiring", found["wiring"])
    policy = () if options.policy is None else ("--policy", str(options.policy))
    written: str = options.caller.write(Next("build", (found["intent"],), (*program, *policy)), {})
    return written
