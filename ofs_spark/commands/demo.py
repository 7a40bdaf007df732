"""`ofs demo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ofs_spark.commands.command import AddCommand, Answer, answer, make_progress

MIN_PAYMENTS = 1_000


def add_commands(add: AddCommand) -> None:
    """demo."""
    world = add(answer_demo)
    folder = Path("demo-world")
    world.add_argument(
        "--folder", type=Path, default=folder, help=f"Where the demo world is written. [default: {folder}]"
    )
    world.add_argument("--seed", type=int, default=20260210, help="Seed of the world. [default: 20260210]")
    events = "Events to generate; 88 %% of them are payments. [default: 350000; at least 1000]"
    world.add_argument("--payments", type=_parse_payments, default=350_000, metavar="COUNT", help=events)


def answer_demo(options: argparse.Namespace) -> int:
    """Generates a card-fraud world, builds a dataset from it twice, and shows what happened."""

    def run() -> Answer:
        """The answer of its first build."""
        from ofs_spark.demo.command import run_demo

        with make_progress(options) as progress:
            demo = run_demo(options.folder, options.seed, options.payments, progress)
        demo.show(sys.stderr if options.json else sys.stdout)
        return demo.conclude()

    return answer(options, run, people=lambda _answer: None)  # the demo has shown its summary


def _parse_payments(text: str) -> int:
    if not (text.isdecimal() and int(text) >= MIN_PAYMENTS):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {MIN_PAYMENTS}")
    return int(text)
