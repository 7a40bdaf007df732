"""Anchors are looked at without their states: the same anchors, hashes and refusals, at a bounded number of bodies."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ofs_spark.foundation.audit import Audit
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.parity import anchor_bodies
from ofs_spark.parity.anchor_bodies import cut_long, cut_short, cut_states
from ofs_spark.parity.anchors import Anchor, read_anchors
from tests.worlds.model import canon
from tests.worlds.snapshots import RUN, SNAPSHOTS

SNAPSHOT: dict[str, Any] = SNAPSHOTS[1]


def read(body: bytes) -> Anchor | Refusal:
    (found,) = read_anchors(MemoryObjects({"a": body}), ["a"], RUN, [])
    return found


@pytest.mark.parametrize(
    "body",
    [
        canon(SNAPSHOT),
        json.dumps(SNAPSHOT, indent=1).encode(),
        json.dumps({"features": SNAPSHOT["features"], **SNAPSHOT}, ensure_ascii=False).encode(),
        json.dumps({**SNAPSHOT, "note": {"features": {"a": 1}}, "created_at_utc": '\\"features\\":{'}).encode(),
    ],
    ids=["canonical", "indented", "first", "named elsewhere too"],
)
def test_only_the_states_are_cut_out(body: bytes) -> None:
    assert json.loads(cut_states(body)) == {**json.loads(body), "features": {}}
    anchor = read(body)
    assert isinstance(anchor, Anchor)
    assert anchor.sha256 == hashlib.sha256(body).hexdigest()
    assert anchor.snapshot_hash == SNAPSHOT["snapshot_hash"]
    assert "features" not in anchor.content


FEATURES = canon(SNAPSHOT["features"])
BROKEN = {
    "no JSON inside": canon(SNAPSHOT).replace(FEATURES, b'{"a":{"event_count":01}}'),
    "cut off": canon(SNAPSHOT)[:-2],
    "twice": canon(SNAPSHOT).replace(b'"features":', b'"features":{},"features":'),
    "no UTF-8": canon(SNAPSHOT).replace(FEATURES, b'{"\xff":{}}'),
    "too deep": canon(SNAPSHOT).replace(FEATURES, b'{"a":' * 70 + b"1" + b"}" * 70),
    "a member twice": canon(SNAPSHOT).replace(b'"pins":', b'"pins":{},"pins":'),
    "a byte order mark": b"\xef\xbb\xbf" + canon(SNAPSHOT),
    "no states": canon({**SNAPSHOT, "features": [1]}),
    "no object": b"[]",
    "empty": b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_anchor_is_refused_as_before(name: str) -> None:
    found = read(BROKEN[name])
    assert isinstance(found, Refusal)
    assert found.code == "PARITY_ANCHOR_INVALID"


VALUES = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, "", "é", "\ud800", '"', "{}", "features", "\U0001d6fc"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "features", "é"]), inner, max_size=3)
    ),
)
DOCUMENTS = st.dictionaries(st.sampled_from(["features", "a", "b", "pins", "featureſ"]), VALUES, max_size=4)
SPOILS = [
    lambda text: text,
    lambda text: text[:-1],
    lambda text: f"{text}x",
    lambda text: f" \t{text}\r\n",
    lambda text: text.replace("0", "01"),
    lambda text: text.replace("1.5", "1e999"),
    lambda text: text.replace("1.5", "NaN"),
    lambda text: text.replace("-1", "9" * 5_000),
    lambda text: text.replace('"features"', '"feat\\u0075res"', 1),
    lambda text: text.replace('"a"', '"features"', 1),
    lambda text: text.replace("{", "{,", 1),
    lambda text: text.replace(",", ",,", 1),
    lambda text: text.replace(":", " \n:\t ", 1),
    lambda text: text.replace("null", "[" * 63 + "]" * 63, 1),
    lambda text: text.replace("null", '{"a":' * 62 + "1" + "}" * 62, 1),
    lambda text: text.replace("true", "\x00", 1),
    lambda text: text.replace('""', '"\n"', 1),
    lambda text: text.replace('""', '"\\x"', 1),
]


@settings(max_examples=400)
@given(DOCUMENTS, st.booleans(), st.lists(st.sampled_from(SPOILS), max_size=2), st.binary(max_size=2))
def test_a_short_document_is_cut_as_a_long_one_is(
    document: dict[str, Any], ascii_only: bool, spoils: list[Callable[[str], str]], more: bytes
) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only)
    for spoil in spoils:
        text = spoil(text)
    for raw in (text.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass") + more):
        assert cut_short(raw) == cut_long(raw)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_cut_in_one_way(name: str) -> None:
    assert cut_short(BROKEN[name]) == cut_long(BROKEN[name])


class Counting(MemoryObjects):
    """Counts how many reads are under way at once."""

    now = most = 0
    lock = threading.Lock()

    def read(self, ref: str, most: int = 1 << 30) -> bytes:
        with self.lock:
            Counting.now += 1
            Counting.most = max(Counting.most, Counting.now)
        try:
            return super().read(ref, most)
        finally:
            with self.lock:
                Counting.now -= 1


def test_many_are_told_in_order_with_every_look_audited_and_few_bodies_at_once() -> None:
    bodies = {f"s{n}": canon({**deepcopy(SNAPSHOT), "graph_version": {"n": n}}) for n in range(40)}
    kept = ("snapshot_hash", "eb_offset_basis", "pins", "run_config_digest")
    own = {name: SNAPSHOT[name] for name in kept}
    bodies["d"] = canon({"decision_id": "d", "snapshot_ref": "s3", **own})
    refs = [*(f"s{n}" for n in range(40)), "nowhere", "d"]
    audit: Audit = []
    found = list(read_anchors(Counting(bodies), refs, RUN, audit))
    assert [one.content["graph_version"]["n"] for one in found[:40] if isinstance(one, Anchor)] == list(range(40))
    missing, decision = found[40:]
    assert isinstance(missing, Refusal)
    assert missing.code == "REF_ACCESS_DENIED"
    assert isinstance(decision, Anchor)
    assert decision.body_ref == "s3"
    assert [(one.ref, one.outcome) for one in audit[-3:]] == [
        ("nowhere", "denied"),
        ("d", "resolved"),
        ("s3", "resolved"),
    ]
    assert [one.ref for one in audit] == [*refs, "s3"]
    assert Counting.most <= anchor_bodies.WORKERS
