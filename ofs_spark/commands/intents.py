"""Commands that take an intent: its ids, its faults, its dataset."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ofs_spark import console
from ofs_spark.commands.command import (
    INTENT,
    MANIFEST,
    AddCommand,
    Answer,
    WrongUse,
    answer,
    open_around,
    open_plane,
    read_argument,
    state_where,
)

CORRECTIONS = (
    ("--supersedes", "REF", f"{MANIFEST} Default: what the intent supersedes."),
    ("--reason", "CODE", "Why: A-Z, 0-9 and _. Default: the intent's reason_code."),
    ("--note", "TEXT", "The reason in words."),
    ("--requested-by", "NAME", "Who asks for it."),
    ("--request-id", "ID", "Of the backfill; default: the intent's, not used before."),
)


def add_commands(add: AddCommand) -> None:
    """identity, validate, build, backfill, parity, forensic."""
    add(answer_identity).add_argument("intent", type=Path, help=INTENT)
    document = add(answer_validate)
    document.add_argument("file", nargs="+", type=Path, help="Any contract document.")
    document.add_argument("--contract", help="Contract to check against; default: by its schema_version.")
    add(answer_build).add_argument("intent", type=Path, help=INTENT)
    backfill = add(answer_backfill)
    backfill.add_argument("intent", type=Path, help=INTENT)
    add_corrections(backfill)
    parity = add(answer_parity)
    parity.add_argument("intent", type=Path, help=INTENT)
    add_comparisons(parity)
    add(answer_forensic).add_argument("intent", type=Path, help=INTENT)


def add_corrections(parser: argparse.ArgumentParser) -> None:
    """What `ofs backfill` is asked beside the intent."""
    for option, metavar, about in CORRECTIONS:
        parser.add_argument(option, metavar=metavar, help=about)


def add_comparisons(parser: argparse.ArgumentParser) -> None:
    """What `ofs parity` compares instead of the intent's own anchor."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--anchors", type=Path, metavar="FILE", help='JSON lines of {"anchor_ref": REF}: one replay for all.'
    )
    either.add_argument(
        "--features", metavar="REF", help="Values logged at decision time (Parquet or JSON lines), by ref."
    )


def list_options(options: argparse.Namespace) -> list[str]:
    """What was asked of a submitted job beside its intent, as arguments."""
    names = (*(option for option, _, _ in CORRECTIONS), "--anchors", "--features")
    given = {option: getattr(options, option[2:].replace("-", "_"), None) for option in names}
    return [text for option, value in given.items() if value is not None for text in (option, str(value))]


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

        planes = (lambda: open_plane(options)) if stated else None
        return state_where(options, answer_validate(files, options.contract, planes, _require_wiring))

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


def answer_backfill(options: argparse.Namespace) -> int:
    """Builds a dataset anew that takes the place of a published one, or refuses."""
    raw = read_argument(options.intent)
    _require_stated(options, raw)

    def call(pipeline: Any, context: Any) -> Answer:
        """The call."""
        from ofs_spark.intent.backfill import Correction

        asked = Correction(
            supersedes=options.supersedes,
            reason_code=options.reason,
            reason=options.note,
            requested_by=options.requested_by,
            request_id=options.request_id,
        )
        answered: Answer = pipeline.backfill_dataset(raw, asked, context)
        return answered

    return answer(options, open_around(options, call))


def answer_parity(options: argparse.Namespace) -> int:
    """Proves that the archive gives what the online plane had, or says what differs and why."""
    raw = read_argument(options.intent)
    anchors = [] if options.anchors is None else read_anchor_list(options.anchors)

    def call(pipeline: Any, context: Any) -> Answer:
        """The call."""
        answered: Answer = pipeline.check_parity(raw, context, anchors, options.features)
        return answered

    return answer(
        options,
        open_around(options, call),
        status=_find_exit_status,
        people=console.print_parity,
    )


def _find_exit_status(found: Answer) -> int:
    from ofs_spark.signals.receipts import find_exit_status  # loads what other commands do without

    return find_exit_status(found)


def read_anchor_list(path: Path) -> list[str]:
    """The refs of a sweep's file, in its order. Wrong use for a line that is none, for none at all and for one named twice."""
    refs: list[str] = []
    for number, line in enumerate(read_argument(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            refs.append(_read_anchor_ref(json.loads(line)))
        except (ValueError, RecursionError):
            raise WrongUse(f'{path}, line {number}: {{"anchor_ref": REF}} is required') from None
    if not refs:
        raise WrongUse(f"{path} names no anchor")
    if len(set(refs)) < len(refs):
        raise WrongUse(f"{path} names an anchor twice")
    return refs


def _read_anchor_ref(line: Any) -> str:
    if not isinstance(line, dict) or set(line) != {"anchor_ref"} or not isinstance(line["anchor_ref"], str):
        raise ValueError("no anchor")
    return str(line["anchor_ref"])


def answer_forensic(options: argparse.Namespace) -> int:
    """Rebuilds the state that the online plane had at a decision; never a training dataset."""
    raw = read_argument(options.intent)
    return answer(
        options,
        open_around(options, lambda pipeline, context: pipeline.rebuild_forensics(raw, context)),
        people=console.print_forensic,
    )


def _require_stated(options: argparse.Namespace, raw: bytes) -> None:
    """Wrong use where neither an option nor the intent says what is superseded, or why. A text that is none is refused
    later."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    for option, member, given in (
        ("--supersedes", "supersedes", options.supersedes),
        ("--reason", "backfill", options.reason),
    ):
        if given is None and not document.get(member):
            raise WrongUse(f"{option} is required: the intent has no {member}")


def _require_wiring(document: Any, file: str) -> None:
    from ofs_spark.io.context import require_wiring  # loads what an intent does without

    require_wiring(document, file)
