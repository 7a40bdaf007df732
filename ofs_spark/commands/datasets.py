"""Commands that take a published dataset."""

from __future__ import annotations

import argparse
import shlex

from ofs_spark import console
from ofs_spark.commands.command import MANIFEST, NEWEST, AddCommand, Answer, answer, open_around, open_plane


def add_commands(add: AddCommand) -> None:
    """datasets, verify, show, explain, retire."""
    listed = add(answer_datasets)
    listed.add_argument("--all", action="store_true", help=f"Every dataset. [default: the {NEWEST} newest]")
    add(answer_verify).add_argument("manifest", help=MANIFEST)
    add(answer_show).add_argument("manifest", help=MANIFEST)
    explain = add(answer_explain)
    explain.add_argument("manifest", help=MANIFEST)
    explain.add_argument("event_id", help="The event that the row is about.")
    explain.add_argument("column", nargs="?", help="A feature or label column. Default: all of them, in short.")
    retire = add(answer_retire)
    retire.add_argument("manifest", help=MANIFEST)
    retire.add_argument(
        "--reason", metavar="TEXT", required=True, help="Why, in one line, for whoever meets the dataset."
    )


def answer_datasets(options: argparse.Namespace) -> int:
    """Lists the datasets that the ledger knows, the newest first, and where their tables are."""
    most = None if options.all else NEWEST
    run = open_around(options, lambda pipeline, context: pipeline.list_datasets(most, context), reads=True)
    program = shlex.join(options.caller.program)
    return answer(options, run, people=lambda found: console.print_datasets(found, program=program))


def answer_verify(options: argparse.Namespace) -> int:
    """Recomputes a published dataset's digests from its stored bytes."""
    return answer(
        options,
        open_around(options, lambda pipeline, context: pipeline.verify_dataset(options.manifest, context), reads=True),
        status=lambda found: 0 if found["verified"] else 60,
        people=console.print_checks,
    )


def answer_show(options: argparse.Namespace) -> int:
    """Shows a published dataset's manifest."""
    addresses: dict[str, str] = {}

    def run() -> Answer:
        """The manifest as it is, for it is a document of its own; where it and its table are is for people."""
        from ofs_spark import pipeline
        from ofs_spark.foundation.refs import name_manifest

        with open_plane(options) as context:
            found: Answer = pipeline.show_manifest(options.manifest, context)
            own = name_manifest(found["platform_run_id"], found["dataset_manifest_id"])
            refs = {"table": found["materialization"]["path"], "manifest": own}
            addresses.update((name, context.show_address(ref)) for name, ref in refs.items())
            return found

    return answer(options, run, people=lambda found: console.print_manifest(found, addresses=addresses))


def answer_explain(options: argparse.Namespace) -> int:
    """Shows which events one value of a published dataset comes from, and the arithmetic that gives it."""
    run = open_around(
        options,
        lambda pipeline, context: pipeline.explain_value(options.manifest, options.event_id, options.column, context),
        reads=True,
    )
    return answer(options, run, people=console.print_explanation)


def answer_retire(options: argparse.Namespace) -> int:
    """Says that a published dataset should no longer be used; it stays as it is."""
    run = open_around(
        options, lambda pipeline, context: pipeline.retire_dataset(options.manifest, options.reason, context)
    )
    return answer(options, run)
