"""Commands that take a published dataset."""

from __future__ import annotations

import argparse

from ofs_spark import console
from ofs_spark.commands.command import MANIFEST, AddCommand, answer, open_around


def add_commands(add: AddCommand) -> None:
    """verify, show."""
    add(answer_verify).add_argument("manifest", help=MANIFEST)
    add(answer_show).add_argument("manifest", help=MANIFEST)


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
    run = open_around(options, lambda pipeline, context: pipeline.show_manifest(options.manifest, context))
    return answer(options, run, people=console.print_manifest)
