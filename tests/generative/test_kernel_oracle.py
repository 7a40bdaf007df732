"""Generated groups: compiled profile and kernels equal the oracle's definition of a window, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ofs_spark.features.kernel import GroupRows, Values, compute_group
from ofs_spark.features.order import rank_deliveries
from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.pins.profile.faults import Digits
from ofs_spark.pins.profile.model import Program, ValueType
from ofs_spark.replay.rows import NO_ARRIVAL
from tests.oracle.conditions import key_of, truth
from tests.oracle.exact import Refused, micros, read_json
from tests.oracle.features import column_names, group_features, is_source, values_of
from tests.oracle.replay import Event
from tests.unit.kernel.deliveries import stamps
from tests.unit.kernel.rows import words
from tests.worlds.generate import PLACES, group_cases, stamp
from tests.worlds.groups import groups
from tests.worlds.model import RUN, envelope, profile
from tests.worlds.payloads import payloads

Case = tuple[dict[str, Any], list[Event], list[Event]]
QUIET = list(HealthCheck)


def digits(document: Any) -> Any:
    """The document with numbers as a profile file gives them: by their digits."""
    if isinstance(document, dict):
        return {name: digits(value) for name, value in document.items()}
    if isinstance(document, list):
        return [digits(value) for value in document]
    return document if isinstance(document, bool | str | None) else Digits(str(document))


def stored(values: list[Any], type_: ValueType) -> Values:
    present = np.array([value is not None for value in values], np.bool_)
    if type_.kind in ("decimal", "int"):
        whole = [0 if value is None else int(value * 10**type_.scale) for value in values]
        return Values(words(whole) if type_.wide else np.array(whole, np.int64), present, type_.scale, type_.kind)
    if type_.kind == "string":
        texts = sorted({value for value in values if value is not None}, key=str.encode)
        codes = [0 if value is None else texts.index(value) for value in values]
        return Values(np.array(codes, np.int64), present, 0, "string", pa.array(texts, pa.string()))
    kind = np.float64 if type_.kind == "double" else np.int64
    return Values(np.array([0 if value is None else value for value in values], kind), present, 0, type_.kind)


def group_rows(document: dict[str, Any], program: Program, rows: list[Event], anchors: list[Event]) -> GroupRows:
    (group,) = program.groups
    keys = sorted({key_of(e.envelope, document["key"]) or () for e in rows})
    places = sorted({e.place for e in rows})
    code = np.array([keys.index(key_of(e.envelope, document["key"]) or ()) for e in rows], np.int64)
    part = np.array([places.index(e.place) for e in rows], np.int32)
    seq = np.array([e.offset for e in rows], np.int64)
    arrival = np.array([NO_ARRIVAL if e.arrival is None else e.arrival for e in rows], np.int64)
    observed = group.knowledge == "as_observed"
    read = [values_of(document, e) if is_source(document, e) else {} for e in rows]
    conditions = [f["where"] for f in document["features"] if "where" in f]
    stated = {
        w: c
        for f, c in zip([f for f in group.features if f.where is not None], _repeated(document), strict=True)
        for w in [f.where]
    }
    assert len(conditions) >= len(set(stated))
    return GroupRows(
        code,
        np.array([e.ts for e in rows], np.int64),
        rank_deliveries(code, part, seq, arrival) if observed else np.arange(len(rows)),
        np.array([is_source(document, e) for e in rows], np.bool_),
        np.array([e in anchors for e in rows], np.bool_),
        tuple(stored([one.get(v.name) for one in read], program.reads[v.read].type) for v in group.values),
        {w: np.array([truth(c, e.record) is True for e in rows], np.bool_) for w, c in stated.items() if w is not None},
    )


def _repeated(document: dict[str, Any]) -> list[Any]:
    """The condition of each compiled feature that has one: one per column of its feature."""
    found = []
    for feature in document["features"]:
        if "where" in feature:
            windows = feature.get("windows", [w["window"] for w in document["windows"]])
            found += [feature["where"]] * max(1, len(windows))
    return found


def agree(case: Case) -> None:
    document, events, anchors = case
    program = compile_profile(digits(profile(document)), "world", "v1").program
    try:
        expected = group_features(document, events, anchors)
    except Refused:
        return
    keys = {e: key_of(e.envelope, document["key"]) for e in events}
    places = sorted({e.place for e in events})
    rows = sorted((e for e in events if keys[e]), key=lambda e: (keys[e], e.ts, places.index(e.place), e.offset))
    names = column_names(document)
    for late_only in (False, True):
        columns = compute_group(program.groups[0], group_rows(document, program, rows, anchors), late_only)
        for anchor, wanted in zip(anchors, expected, strict=True):
            found = (
                {n: c[rows.index(anchor)].as_py() for n, c in zip(names, columns, strict=True)}
                if keys[anchor]
                else dict.fromkeys(names)
            )
            assert found == wanted


@st.composite
def late_cases(draw: st.DrawFn) -> Case:
    """A group and up to 30 events: late, newest first, tied, a wrong clock, a partition a day behind; a few payloads.

    An event's place follows its arrival, so that arrivals never fall inside a partition.
    """
    document = draw(groups())
    document["knowledge"] = "as_observed"
    texts = draw(st.lists(payloads(), min_size=1, max_size=4))
    pairs = sorted(draw(stamps(30)), key=lambda pair: pair[1])
    places = PLACES[: draw(st.integers(1, 3))]
    events = []
    for number, (ts, arrival) in enumerate(pairs):
        text = stamp(ts)
        kind = draw(st.sampled_from(["card_payment", "card_payment", "login"]))
        body = read_json(envelope(f"e{number}", kind, text, draw(st.sampled_from(texts))))
        place = draw(st.sampled_from(places))
        events.append(Event(RUN, f"e{number}", kind, micros(text), *place, number, arrival, body, text))
    events.sort(key=lambda e: e.total)
    return document, events, events


@settings(max_examples=150, suppress_health_check=QUIET)
@given(group_cases())
def test_generated_groups(case: Case) -> None:
    agree(case)


@pytest.mark.nightly
@settings(max_examples=5_000, suppress_health_check=QUIET)
@given(group_cases())
def test_many_generated_groups(case: Case) -> None:
    agree(case)


@settings(max_examples=100, suppress_health_check=QUIET)
@given(late_cases())
def test_generated_deliveries(case: Case) -> None:
    agree(case)


@pytest.mark.nightly
@settings(max_examples=2_500, suppress_health_check=QUIET)
@given(late_cases())
def test_many_generated_deliveries(case: Case) -> None:
    agree(case)
