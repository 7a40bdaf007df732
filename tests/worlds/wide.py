"""A world whose dataset has columns of every kind that is computed, and what tests of loading it share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ofs_spark as ofs
from tests.spec.tables.windows import world
from tests.worlds.model import RUN, World, label
from tests.worlds.writer import Written

FRAUD = "fraud_disposition"
POSITIVE = ["FRAUD_CONFIRMED"]
EVENTS = """
event | time            | card | amount  | shop
e0    | 10:00:00        | "A"  | 12.34   | "bäcker"
e1    | 10:00:00.000001 | "A"  | -0.05   | null
e2    | 10:30:00        | "B"  | 1e9     | ""
e3    | 11:30:00        | null | 7       | "x"
e4    | 12:00:00        | "A"  | null    | "y"
e5    | 12:30:00        | "D"  | 3.5     | "y"
e6    | 12:31:00        | "C"  | 1       | "z"
e7    | 12:32:00        | "E"  | 2       | "z"
"""
BASE = world(
    EVENTS,
    values={
        "amount": {"path": "payload.amount", "type": "decimal(12,2)", "missing": "null"},
        "shop": {"path": "payload.shop", "type": "string", "missing": "null"},
    },
    features=[
        {"name": "count", "aggregate": "count"},
        {"name": "mean", "aggregate": "mean", "value": "amount"},
        {"name": "spend", "aggregate": "sum", "value": "amount", "output": "exact"},
        {"name": "shop", "aggregate": "last", "value": "shop"},
    ],
)
LABELS = tuple(
    label(place, event, value, "2026-02-20T00:00:00Z")
    for place, (event, value) in enumerate(
        [("e0", "FRAUD_CONFIRMED"), ("e2", "LEGIT_CONFIRMED"), ("e4", "FRAUD_SUSPECTED"), ("e5", "LEGIT_CONFIRMED")]
    )
)
WIDE = World(BASE.segments, BASE.intent, BASE.profile, LABELS)
"""Texts, times, integers, decimals and floats, with nulls."""


def refusal(call: Callable[[], object]) -> ofs.Refusal:
    """What a call is refused with."""
    with pytest.raises(ofs.Refusal) as refused:
        call()
    return refused.value


def list_tables(written: Written) -> list[Path]:
    """The files of all published tables."""
    return sorted(written.root.glob(f"{RUN}/ofs/datasets/*/*/*.parquet"))


def edit_document(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Changes a JSON document in place."""
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_text(json.dumps(document))
