"""Commands that clean up."""

from __future__ import annotations

import argparse
import re

from ofs_spark import console
from ofs_spark.commands.command import AddCommand, WrongUse, answer, open_around

_HOURS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def add_commands(add: AddCommand) -> None:
    """gc."""
    gc = add(answer_gc)
    gc.add_argument(
        "platform_run", nargs="*", type=_parse_platform_run, help="A platform run; default: all of the object root."
    )
    gc.add_argument("--apply", action="store_true", help="Removes what it lists.")
    grace = "How long nobody must have written to what is listed. [default: the least that is safe, as policy says]"
    gc.add_argument("--grace", type=_parse_hours, metavar="HOURS", help=grace)


def answer_gc(options: argparse.Namespace) -> int:
    """Lists what nobody refers to any more, and with --apply removes it."""
    _require_grace(options)
    run = open_around(
        options,
        lambda pipeline, context: pipeline.clear_orphans(
            options.platform_run, options.grace, context, removes=options.apply
        ),
        reads=not options.apply,
    )
    return answer(options, run, people=console.print_gc)


def _require_grace(options: argparse.Namespace) -> None:
    """Wrong use for a grace within which an attempt may still commit."""
    if options.grace is None:
        return
    from ofs_spark.foundation.policy import load_policy
    from ofs_spark.workflow.gc_orphans import HOUR_US, find_least_grace

    least = find_least_grace(load_policy(options.policy))
    if options.grace < least:
        hours = -(-least * 100 // HOUR_US) / 100
        message = (
            f"--grace: at least {hours:g} hours: run limit and lease of policy, and an hour for what clocks differ by"
        )
        raise WrongUse(message)


def _parse_hours(text: str) -> int:
    """Microseconds."""
    if not _HOURS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of hours such as 48 or 25.5")
    return round(float(text) * 3_600_000_000)


def _parse_platform_run(text: str) -> str:
    from ofs_spark.foundation.ownership import is_platform_run

    if not is_platform_run(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no platform run such as platform_20260210T130700Z")
    return text
