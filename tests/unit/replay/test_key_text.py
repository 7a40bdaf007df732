"""The text of a key is one law: the scan's columns, the law of one event and looking records up spell every scalar alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ofs_spark.foundation.positions import Range
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.pins.profile.model import OnlineCoreRules
from ofs_spark.replay.index import read_index
from ofs_spark.replay.key_text import read_whole, spell_key
from ofs_spark.replay.lookup import find_records
from ofs_spark.replay.online_law import find_key
from ofs_spark.replay.scan.online_core import list_paths, read_core_keys
from ofs_spark.replay.scan.tokens import scan_tokens
from tests.worlds.model import RUN, TOPIC, Row, World, envelope, intent, profile, segment, slice_
from tests.worlds.writer import write_world

TS = "2026-02-10T10:00:00Z"
SPELLINGS = {
    "1": "1", "-0": "0", "0": "0", "-7": "-7", "100": "100", "9" * 40: "9" * 40, "9" * 5_000: "9" * 5_000,
    "1.0": "1.0", "1.50": "1.5", "15e-1": "1.5", "0.15E+1": "1.5", "1e2": "100.0", "1E2": "100.0", "100.0": "100.0",
    "-0.0": "-0.0", "1e16": "1e+16", "1e22": "1e+22", "1e-7": "1e-07", "0.1": "0.1", "0.1000000000000000055": "0.1",
    "5e-324": "5e-324", "1e400": None, "-1e400": None,
    "true": "true", "false": "false", "null": None, "{}": None, "[1]": None,
    '"1.50"': "1.50", '"1e2"': "1e2", '"A"': "A", '"\\u0041"': "A", '"wörld"': "wörld", '"\\ud834\\udd1e"': "𝄞",
    '"\\ud800"': None, '""': None,
}  # fmt: skip
"""JSON of a payload's value → the key text; None where the field counts as absent."""
INSIDE = {"1": [list(SPELLINGS).index("[1]")]}
"""Key text → records that hold it deeper than in the field."""


def make_texts() -> list[str]:
    return [envelope(f"e{n}", "card_payment", TS, f'{{"flow_id":{text}}}') for n, text in enumerate(SPELLINGS)]


def test_the_scan_and_the_law_of_one_event_spell_every_scalar_alike() -> None:
    rules, texts = OnlineCoreRules(), make_texts()
    tokens = scan_tokens(pa.array(texts), list(dict.fromkeys(list_paths(rules))))
    ids = pa.array([f"e{n}" for n in range(len(texts))])
    scanned = read_core_keys(tokens, rules, ids, np.ones(len(texts), np.bool_)).to_pylist()
    payloads = [json.loads(text, parse_int=read_whole)["payload"] for text in texts]
    told = [":".join(find_key(payload, f"e{n}", rules.key_precedence)) for n, payload in enumerate(payloads)]
    wanted = [f"event_id:e{n}" if key is None else f"flow_id:{key}" for n, key in enumerate(SPELLINGS.values())]
    assert scanned == wanted
    assert told == wanted


@pytest.mark.parametrize("fields", [None, ["flow_id"]])
def test_a_record_is_looked_up_by_its_key_text_however_it_is_spelled(fields: list[str] | None, tmp_path: Path) -> None:
    rows = tuple(Row(n, f"e{n}", TS, text) for n, text in enumerate(make_texts()))
    world = World((segment(*rows),), intent(slice_(0, len(rows) - 1)), profile())
    objects = LocalObjects(str(write_world(world, tmp_path).root))
    segments, ranges = read_index(objects, RUN).segments, [Range(TOPIC, 0, "kafka_offset", 0, len(rows))]
    for text in filter(None, dict.fromkeys(SPELLINGS.values())):
        found = [one.order for one in find_records(objects, segments, ranges, [text], fields=fields)]
        wanted = [n for n, key in enumerate(SPELLINGS.values()) if key == text]
        assert found == (wanted if fields else sorted({*wanted, *INSIDE.get(text, [])})), text


def test_what_is_no_scalar_has_no_key_text() -> None:
    others: list[Any] = [None, {}, [], float("inf"), float("nan")]
    assert [spell_key(value) for value in others] == [None] * 5
