"""Small hostile worlds, and single groups with their events, as Hypothesis strategies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

from tests.oracle.exact import micros, read_json
from tests.oracle.replay import Event
from tests.worlds.groups import CORE, groups, own_columns
from tests.worlds.model import RUN, Row, Segment, World, envelope, intent, label, profile, slice_
from tests.worlds.payloads import payloads

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
"""Half an hour before a daylight-saving change in Europe."""

STEPS = (0, 0, 1, 1_000_000, 3_599_999_999, 3_600_000_000, 3_600_000_001, 86_400_000_000)
PLACES = (("fp.bus.traffic.fraud.v1", 0), ("fp.bus.traffic.fraud.v1", 10), ("fp.bus.traffic.baseline.v1", 2))
EVENT_TYPES = ("card_payment", "card_payment", "login", "refund", "action_intent")
LONG = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898
LABELS = {
    "fraud_disposition": ("FRAUD_CONFIRMED", "FRAUD_SUSPECTED", "LEGIT_CONFIRMED"),
    "chargeback_status": ("CHARGEBACK", "NO_CHARGEBACK", "PENDING"),
}


@dataclass(frozen=True)
class Mood:
    """What is true of a whole world: its kind of offsets, who has arrivals (all, some, none), what may go wrong.

    hex_ids: whose events have an id of 32 hex digits, as platforms write them; in some worlds it is a part of them.
    """

    training: bool
    poisoned: bool
    kind: str
    published: str
    hex_ids: str


def name_event(name: str, mood: Mood, place: tuple[str, int]) -> str:
    """The id of a new event: the name, or 32 hex digits of it."""
    is_hex = {"all": True, "a topic": "fraud" in place[0], "some": crc32(name.encode()) % 2 == 0, "none": False}
    return md5(name.encode(), usedforsecurity=False).hexdigest() if is_hex[mood.hex_ids] else name


def stamp(us: int) -> str:
    return (START + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moments() -> st.SearchStrategy[str]:
    """Few instants, many ties, windows' ends to the microsecond, two spellings of one instant."""
    times = st.lists(st.sampled_from(STEPS), min_size=1, max_size=3).map(lambda steps: stamp(sum(steps)))
    return st.one_of(times, times, times.map(lambda t: t.replace(".000000Z", "+00:00")))


@st.composite
def deliveries(draw: st.DrawFn, offset: int, fresh: str, mood: Mood, earlier: list[Row]) -> list[Row]:
    """The rows stored for one offset: a new event, a redelivery, a conflict, another run's row; sometimes twice."""
    at = draw(moments()) if mood.published == "all" or (mood.published == "some" and draw(st.booleans())) else None
    fate = draw(st.sampled_from(["new"] * 6 + ["again", "again", "other_run"] + ["conflict"] * (not mood.training)))
    event = draw(st.sampled_from([r.event_id for r in earlier])) if earlier and fate != "new" else fresh
    kind, ts = draw(st.sampled_from(EVENT_TYPES)), draw(moments())
    row = Row(
        offset,
        event,
        ts,
        envelope(event, kind, ts, draw(payloads(mood.poisoned))),
        event_type=kind,
        published_at_utc=at,
    )
    if fate == "again" and earlier:
        row = replace(draw(st.sampled_from(earlier)), offset=offset, published_at_utc=at)
    if fate == "other_run":
        row = replace(row, platform_run_id="platform_20250101T000000Z")
    copies = [row] * draw(st.sampled_from([1, 1, 1, 1, 2, 3]))
    if len(copies) > 1 and at is not None:
        copies[1] = replace(row, published_at_utc=draw(st.one_of(moments(), st.none())))
    if len(copies) > 1:  # one position archived at several times
        copies = [replace(copy, archived_at_utc=draw(moments())) for copy in copies]
    if len(copies) > 1 and not mood.training and draw(st.integers(0, 5)) == 0:  # one copy spoiled under the stated hash
        spoiled = envelope(event, kind, ts, '{"spoiled":true}')
        copies[draw(st.integers(0, len(copies) - 1))] = replace(row, envelope=spoiled, payload_hash=row.hash)
        return copies
    if len(copies) > 1 and not mood.training and draw(st.booleans()):
        copies[1] = replace(row, event_type="login", envelope=envelope(event, "login", ts, draw(payloads())))
    return copies


@st.composite
def partitions(draw: st.DrawFn, place: tuple[str, int], mood: Mood, seen: list[Row]) -> list[Segment]:
    """The segments of one partition: dense with declared gaps, or a sparse chain of long sequence numbers."""
    kind = mood.kind
    sparse = kind == "kinesis_sequence"
    offset = draw(st.sampled_from([0, 9, 998])) + (LONG if sparse else 0)
    segments: list[Segment] = []
    rows: list[Row] = []
    gaps: list[tuple[int, int]] = []
    for number in range(draw(st.integers(2, 8))):
        if number:
            step = draw(st.sampled_from([1, 7, 10**40])) if sparse else draw(st.sampled_from([1, 1, 1, 2, 4]))
            if draw(st.integers(0, 2)) == 0 and (sparse or step == 1):
                segments.append(Segment(*place, tuple(rows), kind, tuple(gaps)))
                overlap = not sparse and draw(st.integers(0, 3)) == 0
                rows, gaps = rows[-1:] if overlap else [], []
            elif not sparse and step > 1:
                gaps.append((offset + 1, offset + step - 1))
            offset += step
        fresh = name_event(f"{place[0][15]}{place[1]}-{number}", mood, place)
        drawn = draw(deliveries(offset, fresh, mood, seen))
        rows += drawn
        seen += [r for r in drawn if r.platform_run_id == RUN]
    return [*segments, Segment(*place, tuple(rows), kind, tuple(gaps))]


@st.composite
def slices(draw: st.DrawFn, segments: list[Segment]) -> list[dict[str, Any]]:
    """The whole partition, a part of it, or two overlapping parts; one of the segments' partition."""
    first, last = segments[0].first, segments[-1].last
    offsets = sorted({r.offset for s in segments for r in s.rows})
    where = (segments[0].topic, segments[0].partition, segments[0].offset_kind)
    a, b = sorted((draw(st.sampled_from(offsets)), draw(st.sampled_from(offsets))))
    shape = draw(st.sampled_from(["whole", "whole", "whole", "part", "overlap"]))
    if shape == "part":
        return [slice_(a, b, *where)]
    return [slice_(first, last, *where)] if shape == "whole" else [slice_(a, last, *where), slice_(first, b, *where)]


@st.composite
def assertions(draw: st.DrawFn, events: list[str], types: list[str]) -> list[dict[str, Any]]:
    """Labels of most events: corrections, ties, conflicts, late ones, doubled rows, some about nobody."""
    out: list[dict[str, Any]] = []
    for event in [*events, "nobody"]:
        for _ in range(draw(st.integers(0, 3))):
            of = draw(st.sampled_from(types))
            times = {"effective_time": draw(moments()), "label_type": of}
            said = draw(st.sampled_from(LABELS[of]))
            out.append(label(len(out) * 7919 % 1009, event, said, draw(moments()), **times))
    doubled = draw(st.lists(st.sampled_from(out), max_size=1)) if out else []
    return draw(st.permutations(out + doubled))


@st.composite
def intents(draw: st.DrawFn, basis: list[dict[str, Any]], types: list[str], training: bool) -> dict[str, Any]:
    filters: dict[str, Any] = (
        draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "event_types": st.just(["card_payment", "login"]),
                    "s": st.just(["x", "y", "", "a|b", 1]),
                    "b": st.just([True]),
                },
            )
        )
        if draw(st.integers(0, 7)) == 0
        else {}
    )
    if training:
        filters["label_coverage_policy"] = {
            "min_coverage_by_label_type": dict.fromkeys(types, draw(st.sampled_from([0, 0.25, 0.5]))),
            "max_conflict_ratio": draw(st.sampled_from([0, 0.5, 1])),
        }
    scope: dict[str, Any] = {"label_types": types}
    if draw(st.integers(0, 9)) == 0:
        scope["anchor_event_types"] = ["card_payment"]
    rule = st.sampled_from(["ls.resolved.v0", "ls.resolved.v0", "ls.latest_observed.v0", "latest_observed_asof"])
    stated: dict[str, Any] = {"label_asof_utc": draw(moments()), "resolution_rule": draw(rule)}
    if draw(st.booleans()):
        stated["maturity_days"] = draw(st.integers(0, 2))
    return intent(*basis, label_basis=stated, filters=filters, join_scope=scope, non_training_allowed=not training)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A world that a careful build survives, most often; the oracle says what comes out of it."""
    mood = Mood(
        training=draw(st.integers(0, 2)) == 0,
        poisoned=draw(st.integers(0, 9)) == 0,
        kind=draw(st.sampled_from(["kafka_offset", "kafka_offset", "file_line", "kinesis_sequence"])),
        published=draw(st.sampled_from(["all", "all", "all", "all", "none", "some"])),
        hex_ids=draw(st.sampled_from(["none", "all", "a topic", "some"])),
    )
    places = draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3, unique=True))
    seen: list[Row] = []
    segments = [draw(partitions(place, mood, seen)) for place in sorted(places)]
    basis = [one for own in segments for one in draw(slices(own))]
    drawn = [draw(groups(f"g{i}")) for i in range(draw(st.integers(1, 2)))]
    if draw(st.integers(0, 3)) == 0:
        drawn.insert(draw(st.integers(0, len(drawn))), dict(CORE))
    types = draw(st.sampled_from([["fraud_disposition"], ["fraud_disposition", "chargeback_status"]]))
    events = sorted({r.event_id for r in seen if r.event_id})
    return World(
        tuple(draw(st.permutations([s for own in segments for s in own]))),
        draw(intents(draw(st.permutations(basis)), types, mood.training)),
        profile(*drawn, **draw(own_columns())),
        tuple(draw(assertions(events, types))),
    )


@st.composite
def group_cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[Event], list[Event]]:
    """(group, events in total order, anchors): no files, no duplicates; arrivals for all or for none."""
    arrivals = draw(st.booleans())
    places = PLACES[: draw(st.integers(1, 3)) if arrivals else 1]
    latest: dict[tuple[str, int], int] = {}
    events = []
    for number in range(draw(st.integers(1, 12))):
        place, ts, kind = draw(st.sampled_from(places)), draw(moments()), draw(st.sampled_from(EVENT_TYPES))
        arrival = latest[place] = max(latest.get(place, 0), micros(draw(moments()))) if arrivals else 0
        document = read_json(envelope(f"e{number}", kind, ts, draw(payloads())))
        known = arrival if arrivals else None
        events.append(Event(RUN, f"e{number}", kind, micros(ts), *place, number, known, document, ts))
    events.sort(key=lambda e: e.total)
    keep = draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    anchors = [e for e, kept in zip(events, keep, strict=True) if kept] or events
    return draw(groups()), events, anchors
