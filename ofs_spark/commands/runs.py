"""Commands about runs, as the ledger knows them."""

from __future__ import annotations

import argparse
import shlex

from ofs_spark import console
from ofs_spark.commands.command import AddCommand, answer, open_around

NEWEST = 50
"""Runs that `ofs status` shows of a ledger that has more."""


def add_commands(add: AddCommand) -> None:
    """status, retry-publish."""
    status = add(answer_status)
    status.add_argument("run_key", nargs="?", help=f"A run; default: the {NEWEST} newest runs.")
    status.add_argument("--all", action="store_true", help="Every run.")
    add(answer_retry_publish).add_argument("run_key", help="A run that is PUBLISH_PENDING.")


def answer_status(options: argparse.Namespace) -> int:
    """Shows what the ledger knows of runs."""
    most = None if options.all else NEWEST
    run = open_around(options, lambda pipeline, context: pipeline.describe_runs(options.run_key, context, most))
    program = shlex.join(options.caller.program)
    return answer(options, run, people=lambda found: console.print_status(found, program=program))


def answer_retry_publish(options: argparse.Namespace) -> int:
    """Publishes what a run has staged, without building anything again, or refuses."""
    run_key = options.run_key
    return answer(options, open_around(options, lambda pipeline, context: pipeline.retry_publish(run_key, context)))
