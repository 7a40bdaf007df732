"""The online plane's law on the platform's own recorded stream: the keys it applied, as often as it applied them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.online_core import judge_events, list_paths, read_core_amounts, read_core_keys

ONLINE = Path(__file__).parents[2] / "golden" / "online"
RUN = "platform_20260210T130700Z"
LAW = OnlineCoreRules()


def test_keys_and_amounts_of_the_recorded_stream() -> None:
    records = [json.loads(line) for line in (ONLINE / "archive_records.jsonl").read_text().splitlines()]
    first = {record["event_id"]: record for record in reversed(records)}.values()
    ordered = sorted(first, key=lambda record: int(record["origin_offset"]["offset"]))
    tokens = t.scan_tokens(pa.array([json.dumps(one["envelope"]) for one in ordered]), list(list_paths(LAW)))
    kinds = pa.array([one["event_type"] for one in ordered]).dictionary_encode()
    take = judge_events(tokens, kinds, ordered[0]["origin_offset"]["topic"], RUN).skip == 0
    keys = read_core_keys(tokens, LAW, pa.array([one["event_id"] for one in ordered]), take).to_pylist()
    amounts = read_core_amounts(tokens, LAW).to_pylist()
    counts: Counter[str] = Counter(key for key in keys if key)
    sums = {key: sum(a for k, a in zip(keys, amounts, strict=True) if k == key) for key in counts}
    last = json.loads((ONLINE / "snapshots.json").read_text())[-1]
    features = last.get("snapshot", last)["features"]
    assert {key: state["event_count"] for key, state in features.items()} == counts
    assert {key: state["amount_sum"] for key, state in features.items()} == sums


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("1.5", 1.5), ('"1.5"', 1.5), ('" 1_0 "', 10.0), ("true", 1.0), ("false", 0.0), ("null", 0.0), ('"x"', 0.0),
        ('"nan"', 0.0), ('"inf"', 0.0), ("1e999", 0.0), ("{}", 0.0), ('"\\u0031"', 1.0), ('""', 0.0),
    ],
)  # fmt: skip
def test_amounts(amount: str, expected: float) -> None:
    tokens = t.scan_tokens(pa.array([f'{{"payload":{{"amount":{amount}}}}}']), list(list_paths(LAW)))
    assert read_core_amounts(tokens, LAW).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('{"flow_id":"f"}', "flow_id:f"), ('{"flow_id":7,"event_id":"x"}', "flow_id:7"), ('{"flow_id":""}', "event_id:e0"),
        ('{"flow_id":null,"event_id":"x"}', "event_id:x"), ("{}", "event_id:e0"), ('{"flow_id":false}', "flow_id:false"),
    ],
)  # fmt: skip
def test_keys(payload: str, expected: str) -> None:
    tokens = t.scan_tokens(pa.array([f'{{"payload":{payload}}}']), list(list_paths(LAW)))
    assert read_core_keys(tokens, LAW, pa.array(["e0"]), np.array([True])).to_pylist() == [expected]
