"""What is learned of texts changes how fast others are read, and nothing else: every text reads as byte by byte."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ofs_spark.foundation.columnar.hashing import read_text_buffers
from ofs_spark.replay.scan import shapes as s
from ofs_spark.replay.scan import tokens as t
from ofs_spark.replay.scan.members import MemberTree
from ofs_spark.replay.scan.reading import Found
from ofs_spark.replay.scan.shapes import Shapes

PATHS = [("payload",), ("payload", "amount"), ("payload", "tags"), ("payload", "of", "a"), ("id",), ()]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

SCALARS = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
    st.text(max_size=12), st.sampled_from(["", "é", '"', "\\", "\x7f", "a" * 40]),
)  # fmt: skip
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4),
    st.dictionaries(
        st.sampled_from(["a", "aa", "b", ""]), st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=3
    ),
    st.lists(st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2), max_size=3),
)
PAYLOADS = st.fixed_dictionaries(
    {"amount": SCALARS}, optional={"tags": VALUES, "of": VALUES, "é": SCALARS, "z": VALUES}
)
DOCUMENTS = st.one_of(
    st.fixed_dictionaries({"id": SCALARS, "payload": PAYLOADS}, optional={"a": VALUES, "zz": SCALARS}), VALUES
)


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """A document as the archive writes it, or now and then in another spelling, or no document at all."""
    document = draw(DOCUMENTS)
    way = draw(st.integers(0, 9))
    text = json.dumps(document, sort_keys=way != 1, separators=(", ", ":") if way == 2 else (",", ":"))
    if way == 3 and text:
        place = draw(st.integers(0, len(text) - 1))
        text = text[:place] + draw(st.sampled_from(["", '"', "}", ",", "\\", "x", "1"])) + text[place + 1 :]
    return text + draw(st.sampled_from(["", "", "", " ", "}"])) if way == 4 else text


def compare(texts: list[str], shapes: Shapes) -> None:
    column = pa.array(texts, pa.large_string())
    found, plain = t.scan_tokens(column, PATHS, shapes), t.scan_tokens(column, PATHS)
    assert found.state.tolist() == plain.state.tolist()
    assert found.canonical.tolist() == plain.canonical.tolist()
    valid = plain.state == t.VALID
    for path in PATHS:
        assert found.kind[path][valid].tolist() == plain.kind[path][valid].tolist()
        there = valid & (plain.kind[path] != t.ABSENT)
        assert found.start[path][there].tolist() == plain.start[path][there].tolist()
        assert found.end[path][there].tolist() == plain.end[path][there].tolist()


@QUICK
@given(st.lists(st.lists(spelled(), min_size=1, max_size=25), min_size=1, max_size=3))
def test_texts_read_alike_whatever_was_learned_before(blocks: list[list[str]]) -> None:
    shapes = Shapes(MemberTree.of(PATHS))
    for texts in blocks:
        compare(texts, shapes)
    for texts in reversed(blocks):
        compare(texts, shapes)


def draw_event(draw: Random) -> dict[str, Any]:
    payload = {
        "amount": draw.random(),
        "card_id": f"card-{draw.randint(0, 10**6)}",
        "tags": [1, 2, 3][: draw.randint(0, 3)],
    }
    return {"id": draw.randbytes(8).hex(), "payload": payload, "seed": draw.choice([42, None]), "ts": "2026-01-01"}


def write(event: Any) -> str:
    return json.dumps(event, sort_keys=True, separators=(",", ":"))


def test_events_of_one_producer_are_met_after_a_few() -> None:
    draw = Random(1)
    texts = [write(draw_event(draw)) for _ in range(2_000)]
    shapes = Shapes(MemberTree.of(PATHS))
    compare(texts, shapes)
    assert shapes._texts <= 24
    data, offsets = read_text_buffers(pa.array(texts, pa.large_string()))
    spans = Found.of(shapes.tree, len(texts))
    met = shapes.meet(data, offsets, np.arange(len(texts)), spans.verdicts, (spans.kind, spans.start, spans.end))
    assert met.all()


@pytest.mark.parametrize("size", [1, s.MOST_TEXT_BYTES + 1])
def test_texts_that_are_unlike_each_other_are_given_up(size: int) -> None:
    draw = Random(2)
    texts = [write({draw.randbytes(8).hex(): "x" * size, "id": 1}) for _ in range(200)]
    shapes = Shapes(MemberTree.of(PATHS))
    compare(texts, shapes)
    assert (shapes.is_full, shapes._pieces) == (True, {None: {}})
    compare(texts, shapes)


@pytest.mark.parametrize("names", [500, 3])
def test_what_is_learned_has_an_end(names: int) -> None:
    shapes = Shapes(MemberTree.of(PATHS))
    texts = [write({f"name-{number}-{n}": [1, {"b": n}] for n in range(names)}) for number in range(300)]
    for text in texts:
        shapes.learn(text.encode())
    known = [len(one) for one in shapes._pieces.values()]
    assert sum(known) == shapes._count <= s.MOST_PIECES
    assert max(known) <= s.MOST_AT_A_PLACE
    compare(texts, shapes)
