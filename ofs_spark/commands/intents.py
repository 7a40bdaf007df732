"""Commands that take an intent: its ids, its faults, its dataset."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ofs_spark import console
from ofs_spark.commands.command import (
    INTENT,
    AddCommand,
    Answer,
    answer,
    open_around,
    open_plane,
    read_argument,
)


def add_commands(add: AddCommand) -> None:
    """identity, validate, build."""
    add(answer_identity).add_argument("intent", type=Path, help=INTENT)
    document = add(answer_validate)
    document.add_argument("file", nargs="+", type=Path, help="Any contract document.")
    document.add_argument("--contract", help="Contract to check against; default: by its schema_version.")
    add(answer_build).add_argument("intent", type=Path, help=INTENT)


def answer_identity(options: argparse.Namespace) -> int:
    """Shows the ids an intent has: no Java, no store."""
    raw = read_argument(options.intent)

    def run() -> Answer:
        """The ids."""
        from ofs_spark.intent.answers import answer_identity

        return answer_identity(raw)

    return answer(options, run)


def answer_validate(options: argparse.Namespace) -> int:
    """Lists every fault of contract documents; of an intent also what its pins refuse, where a wiring is given."""
    files = [(str(path), read_argument(path)) for path in options.file]
    stated = options.wiring is not None or bool(os.environ.get("OFS_WIRING"))

    def run() -> Answer:
        """What was found of each."""
        from ofs_spark.workflow.validate import answer_validate

        return answer_validate(
            files, options.contract, (lambda: open_plane(options)) if stated else None, _require_wiring
        )

    return answer(
        options,
        run,
        status=lambda found: 0 if found["valid"] else 10,
        people=console.print_validation,
    )


def answer_build(options: argparse.Namespace) -> int:
    """Builds and publishes the dataset an intent names, or refuses."""
    raw = read_argument(options.intent)
    return answer(options, open_around(options, lambda pipeline, context: pipeline.build_dataset(raw, context)))


def _require_wiring(document: Any, file: str) -> None:
    from ofs_spark.io.context import require_wiring  # loads what an intent does without

    require_wiring(document, file)
