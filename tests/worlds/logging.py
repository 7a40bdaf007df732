"""Values logged at decision time: a world whose features have every type, and files that log what a build of it found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark import pipeline
from ofs_spark.foundation.audit import Audit, Resolution
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.model import RUN, World, intent, profile, row, segment, slice_, window
from tests.worlds.writer import Written

Line = dict[str, Any]
_NUMBERS = count()
REF = f"{RUN}/decisions/features.jsonl"
START = datetime(2026, 2, 10, 22, 0, tzinfo=UTC)
VALUES = {
    "amount": {"path": "payload.amount", "type": "decimal(12,2)", "missing": "null"},
    "shop": {"path": "payload.shop", "type": "string", "missing": "null"},
    "chip": {"path": "payload.chip", "type": "bool", "missing": "null"},
}
CARD = {
    "name": "card",
    "version": "v1",
    "key": ["payload.card"],
    "values": VALUES,
    "windows": [window("1h"), window("24h")],
    "features": [
        {"name": "count", "aggregate": "count"},
        {"name": "mean", "aggregate": "mean", "value": "amount"},
        {"name": "spent", "aggregate": "sum", "value": "amount", "output": "exact", "windows": ["24h"]},
        {"name": "shop", "aggregate": "last", "value": "shop", "windows": ["24h"]},
        {"name": "chip", "aggregate": "last", "value": "chip", "windows": ["24h"]},
    ],
    "derived": [{"name": "ratio", "ratio": ["amount", "mean_24h"]}],
}
SHOP = {
    "name": "shop",
    "version": "v1",
    "key": ["payload.shop"],
    "values": {"amount": VALUES["amount"]},
    "windows": [window("24h")],
    "features": [
        {"name": "largest", "aggregate": "max", "value": "amount"},
        {"name": "spread", "aggregate": "stddev_pop", "value": "amount"},
    ],
}
FEATURES = (
    *("card__count_1h", "card__count_24h", "card__mean_1h", "card__mean_24h", "card__spent_24h", "card__shop_24h"),
    *("card__chip_24h", "card__ratio", "shop__largest_24h", "shop__spread_24h"),
)


def make_world(events: int, seed: int = 7, name: str = "e{}") -> World:
    """Payments of some cards at some shops over three UTC days in two partitions, a few late, some fields missing.

    name: an event's id, of its number.
    """
    rng = random.Random(seed)
    rows: tuple[list[Any], list[Any]] = ([], [])
    for number in range(events):
        arrival = START + timedelta(seconds=number * 50 * 3600 // events)
        ts = arrival - timedelta(hours=3) * (rng.random() < 0.1)
        payload = {"card": f"c{rng.randrange(5)}", "amount": f"{rng.randrange(1, 99_999) / 100:.2f}"}
        payload |= {"shop": f"s{rng.randrange(3)}"} if rng.random() < 0.9 else {}
        chip = {"chip": rng.random() < 0.5} if rng.random() < 0.8 else {}
        kind = "login" if rng.random() < 0.1 else "card_payment"
        own = rows[number % 2]
        arrived = {"published_at_utc": f"{arrival:%Y-%m-%dT%H:%M:%S.%fZ}", "event_type": kind}
        own.append(row(len(own), name.format(number), f"{ts:%Y-%m-%dT%H:%M:%S.%fZ}", {**payload, **chip}, **arrived))
    segments = tuple(segment(*own, partition=partition) for partition, own in enumerate(rows))
    basis = [slice_(0, len(own) - 1, partition=partition) for partition, own in enumerate(rows)]
    scope = {"label_types": [], "anchor_event_types": ["card_payment"]}
    return World(segments, intent(*basis, join_scope=scope), profile(CARD, SHOP))


def log_rows(rows: Iterable[Mapping[str, Any]]) -> list[Line]:
    """What a faithful online plane logs of a dataset's rows: one line per event and feature, one second after it."""
    return [
        {
            "event_id": row["event_id"],
            "column": name,
            "value": row[name],
            "logged_at_utc": f"{row['ts_utc'] + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        for row in rows
        for name in FEATURES
    ]


def write_lines(written: Written, lines: Iterable[Line | str], ref: str = REF) -> str:
    """Puts the lines below the object root; a text is put as it is. The ref."""
    path = written.root / ref
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{one if isinstance(one, str) else spell(one)}\n" for one in lines), encoding="utf-8")
    return ref


def spell(line: Line) -> str:
    """A line as JSON; a Decimal by its digits."""
    if isinstance(line["value"], Decimal):
        return json.dumps({**line, "value": 0}).replace('"value": 0', f'"value": {line["value"]}')
    return json.dumps(line)


def write_parquet(written: Written, lines: Iterable[Line], type_: pa.DataType, ref: str = f"{REF}.parquet") -> str:
    """Puts the lines below the object root as Parquet, values as one column of a type. The ref."""
    listed = list(lines)
    at = [datetime.strptime(one["logged_at_utc"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) for one in listed]
    table = pa.table(
        {
            "event_id": [one["event_id"] for one in listed],
            "column": pa.array([one["column"] for one in listed]).dictionary_encode(),
            "value": pa.array([one["value"] for one in listed], type_),
            "logged_at_utc": pa.array(at, pa.timestamp("us", "UTC")),
            "model": ["m1"] * len(listed),
        }
    )
    (written.root / ref).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, written.root / ref, row_group_size=max(1, len(listed) // 3))
    return ref


def compare(
    written: Written,
    ref: str,
    engine: Callable[[], Engine] = EmbeddedEngine,
    policy: Path | None = None,
    audit: Audit | None = None,
) -> dict[str, Any]:
    """The document of a parity run of its own over the world's intent."""
    asks = {"intent_kind": "parity_rebuild", "request_id": f"parity.run.{next(_NUMBERS):06d}"}
    document = {**json.loads(written.intent.read_bytes()), **asks}
    with open_context(written.wiring, policy, lambda _room, _doing: None, engine) as context:
        answer = pipeline.check_parity(json.dumps(document).encode(), context, features=ref)
        if audit is not None:
            receipt = f"{RUN}/ofs/run_receipts/{answer['run_key']}.json"
            told = json.loads((written.root / receipt).read_bytes())["protected_refs"]
            audit += [Resolution(one["ref"], one["purpose"], one["outcome"]) for one in told]
    report: dict[str, Any] = json.loads((written.root / answer["report_ref"]).read_bytes())
    assert {name: report[name] for name in ("outcome", "counts", "columns")} == {
        name: answer[name] for name in ("outcome", "counts", "columns")
    }
    return report
