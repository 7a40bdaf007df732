"""Commands about runs, as the ledger knows them."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from ofs_spark import console
from ofs_spark.commands.command import NEWEST, AddCommand, answer, open_around
from ofs_spark.foundation.commands import SHOW_MANIFEST, STATUS_OF_RUN
from ofs_spark.intent.run import State

RUN = "A run key, or its first digits (six or more) where no other key has them."


def add_commands(add: AddCommand) -> None:
    """status, retry-publish, cancel, ledger list, ledger show."""
    status = add(answer_status)
    status.add_argument("run_key", nargs="?", help=f"{RUN} Default: the {NEWEST} newest runs.")
    status.add_argument("--all", action="store_true", help="Every run.")
    cancel = add(answer_cancel)
    cancel.add_argument("run_key", help=RUN)
    listed = add(answer_ledger_list, "ledger")
    listed.add_argument("--state", choices=[state.value for state in State], help="Of this state alone.")
    listed.add_argument("--most", type=_read_count, default=NEWEST, metavar="N", help=f"So many; default {NEWEST}.")
    shown = add(answer_ledger_show, "ledger")
    shown.add_argument("run_key", help=RUN)
    add(answer_retry_publish).add_argument("run_key", help=f"{RUN} It is PUBLISH_PENDING.")


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


def answer_cancel(options: argparse.Namespace) -> int:
    """Ends a run: asks its driver to, or ends it itself where the driver is gone."""

    def cancel(pipeline: Any, context: Any) -> dict[str, Any]:
        """The answer, and what to run next."""
        found: dict[str, Any] = pipeline.cancel_run(options.run_key, context)
        template = SHOW_MANIFEST if found.get("manifest_ref") else STATUS_OF_RUN
        return {**found, "next": options.caller.write(template, found)}

    return answer(options, open_around(options, cancel), people=console.print_cancel)


def answer_ledger_list(options: argparse.Namespace) -> int:
    """Lists the newest runs with their times."""
    run = open_around(options, lambda pipeline, context: pipeline.list_ledger(options.state, options.most, context))
    return answer(options, run, people=console.print_ledger_list)


def answer_ledger_show(options: argparse.Namespace) -> int:
    """Shows everything that the ledger holds of a run."""
    run = open_around(options, lambda pipeline, context: pipeline.show_ledger(options.run_key, context))
    return answer(options, run, people=console.print_ledger_run)


def _read_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count
