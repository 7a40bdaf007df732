"""Which events happened: ranges, completeness, exactly-once, scope, arrival. One rule, one function."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.oracle.envelopes import Names, declared_members, says_one_thing
from tests.oracle.exact import Refused, micros, read_json
from tests.worlds.model import Row, Segment, World, envelope_hash, linked

DENSE = ("kafka_offset", "file_line")
Place = tuple[str, int]


@dataclass(frozen=True)
class Range:
    """A slice of one partition; both ends inside it."""

    topic: str
    partition: int
    kind: str
    start: int
    end: int

    def holds(self, topic: str, partition: int, kind: str, offset: int) -> bool:
        return (topic, partition, kind) == (self.topic, self.partition, self.kind) and self.start <= offset <= self.end

    def resolved(self) -> dict[str, Any]:
        """The half-open form for dense kinds; sparse kinds keep their inclusive end."""
        end = {"end_exclusive": str(self.end + 1)} if self.kind in DENSE else {"end_inclusive": str(self.end)}
        where = {"topic": self.topic, "partition": self.partition, "offset_kind": self.kind}
        return {**where, "start": str(self.start), **end}


@dataclass(frozen=True)
class Delivery:
    """One delivered offset of the basis."""

    topic: str
    partition: int
    offset: int
    row: Row
    arrival: int | None = None

    @property
    def position(self) -> tuple[str, int, int]:
        return (self.topic, self.partition, self.offset)

    @property
    def key(self) -> tuple[str | None, str | None]:
        return (self.row.platform_run_id, self.row.event_id)


@dataclass(frozen=True)
class Event:
    """An in-scope event with the one position and arrival it has; times in microseconds."""

    platform_run_id: str
    event_id: str
    event_type: str
    ts: int
    topic: str
    partition: int
    offset: int
    arrival: int | None
    envelope: dict[str, Any] = field(compare=False, hash=False)
    ts_text: str = ""
    scenario_run_id: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        """What paths of a profile read: the envelope's payload, and two of the record's own columns."""
        columns = {"event_type": self.event_type, "scenario_run_id": self.scenario_run_id}
        return {"payload": self.envelope["payload"], **columns}

    @property
    def place(self) -> Place:
        return (self.topic, self.partition)

    @property
    def total(self) -> tuple[int, str, int, int]:
        return (self.ts, self.topic, self.partition, self.offset)

    @property
    def delivery(self) -> tuple[int, str, int, int]:
        """Delivery order; comparable within one partition, and across partitions where every event has an arrival."""
        return (self.arrival if self.arrival is not None else 0, self.topic, self.partition, self.offset)


@dataclass(frozen=True)
class Replay:
    events: list[Event]
    counts: dict[str, int]
    truncation_bound: int


def resolve_basis(basis: Iterable[dict[str, Any]]) -> list[Range]:
    """Inclusive slices united per partition."""
    slices: list[Range] = []
    kinds: dict[Place, str] = {}
    for s in basis:
        texts = (s["start_offset"], s["end_offset"])
        place = (s["topic"], s["partition"])
        same_kind = kinds.setdefault(place, s["offset_kind"]) == s["offset_kind"]
        if not same_kind or not all(re.fullmatch("0|[1-9][0-9]*", t) for t in texts) or int(texts[0]) > int(texts[1]):
            raise Refused("BASIS_UNRESOLVED", str(s))
        slices.append(Range(*place, s["offset_kind"], int(texts[0]), int(texts[1])))
    out: list[Range] = []
    for r in sorted(slices, key=lambda r: (r.topic, r.partition, r.start)):
        last = out[-1] if out else None
        reach = (
            (last.end + (r.kind in DENSE)) if last and (last.topic, last.partition) == (r.topic, r.partition) else -1
        )
        if last and r.start <= reach:
            out[-1] = Range(r.topic, r.partition, r.kind, last.start, max(last.end, r.end))
        else:
            out.append(r)
    return out


def completeness(r: Range, segments: list[Segment]) -> str | None:
    """None when the range is proven complete, else the code that says why not."""
    mine = [s for s in segments if (s.topic, s.partition, s.offset_kind) == (r.topic, r.partition, r.kind)]
    touched = [s for s in mine if s.first <= r.end and s.last >= r.start]
    if any(tells_lies(s) for s in touched):
        return "REPLAY_UNCHECKABLE"
    if r.kind in DENSE:
        present = {row.offset for s in touched for row in s.rows}
        excused = [gap for s in mine for gap in s.gaps]
        missing = (o for o in range(r.start, r.end + 1) if o not in present)
        return "REPLAY_BASIS_GAP" if any(not any(a <= o <= b for a, b in excused) for o in missing) else None
    return None if any(s.last >= r.end for s in reachable(mine, r.start)) else "REPLAY_UNCHECKABLE"


def reachable(shard: list[Segment], start: int) -> list[Segment]:
    """The segments to which links lead from one that starts before `start`: a link goes to any segment that holds it."""
    reached = [s for s in shard if starts(s, start)]
    while True:
        read = {offset for s in reached for offset in (s.first, s.last, *(row.offset for row in s.rows))}
        more = [s for s in shard if s.previous_last_offset in read and not any(s is known for known in reached)]
        if not more:
            return reached
        reached += more


def index_faults(world: World) -> list[str]:
    """What the index alone tells of the basis: dense offsets in no segment and no gap; sparse ranges that no segment ends.

    Gaps are told before what cannot be proven. Nothing of a segment is looked at but what the index states of it.
    """
    ranges, segments = resolve_basis(world.intent["replay_basis"]), linked(world.segments)
    found = [code for r in ranges if (code := index_fault(r, segments))]
    return sorted(found, key=("REPLAY_BASIS_GAP", "REPLAY_UNCHECKABLE").index)


def index_fault(r: Range, segments: list[Segment]) -> str | None:
    mine = [s for s in segments if (s.topic, s.partition, s.offset_kind) == (r.topic, r.partition, r.kind)]
    if r.kind in DENSE:
        covered = [(s.first, s.last) for s in mine] + [gap for s in mine for gap in s.gaps]
        holes = (o for o in range(r.start, r.end + 1) if not any(a <= o <= b for a, b in covered))
        return "REPLAY_BASIS_GAP" if next(holes, None) is not None else None
    return None if any(s.last >= r.end for s in mine) else "REPLAY_UNCHECKABLE"


def starts(seg: Segment, start: int) -> bool:
    before = seg.previous_last_offset
    return before is None or (isinstance(before, int) and before < start)


def tells_lies(seg: Segment) -> bool:
    offsets = [row.offset for row in seg.rows]
    return (min(offsets), max(offsets), len(offsets)) != (seg.first, seg.last, seg.count)


def one_per_position(delivered: list[Delivery], arrival_of: Callable[[Row], int | None]) -> tuple[list[Delivery], bool]:
    """The kept copy of each position (smallest hash, then earliest), and whether any two hashes differed."""
    copies = defaultdict(list)
    for d in delivered:
        copies[d.position].append(d)
    mismatch = any(len({d.row.hash for d in same}) > 1 for same in copies.values())
    kept = [min(same, key=lambda d: preference(d.row, arrival_of)) for same in copies.values()]
    return sorted(kept, key=lambda d: d.position), mismatch


def preference(row: Row, arrival_of: Callable[[Row], int | None]) -> tuple[Any, ...]:
    """Smallest hash; then the earliest arrival, publication, archival, event time; then the content. Absent comes last."""
    times = (arrival_of(row), published(row), archived(row), event_time(row))
    texts = (row.envelope, row.event_id, row.event_type, row.platform_run_id, row.scenario_run_id, row.ts_utc)
    content = ((text is None, (text or "").encode()) for text in texts)
    return (row.hash is None, row.hash or "", *((time is None, time or 0) for time in times), *content)


def event_time(row: Row) -> int | None:
    try:
        return micros(row.ts_utc or "")
    except ValueError:
        return None


def archived(row: Row) -> int | None:
    try:
        return micros(row.archived_at_utc)
    except ValueError:
        return None


def published(row: Row) -> int | None:
    return None if row.published_at_utc is None else micros(row.published_at_utc)


def with_arrivals(positions: list[Delivery], arrival_of: Callable[[Row], int | None]) -> list[Delivery]:
    """Arrival = the latest publication of the partition up to here, whoever's rows they are."""
    latest: dict[Place, int] = {}
    out = []
    for d in positions:
        place, at = (d.topic, d.partition), arrival_of(d.row)
        if at is not None:
            latest[place] = max(latest.get(place, at), at)
        out.append(replace(d, arrival=latest.get(place)))
    return out


def readable(row: Row, seen_twice: bool, declared: set[Names]) -> bool:
    """Whether the record is valid; a stated payload hash is recomputed only where something was seen twice."""
    required = (row.event_id, row.event_type, row.ts_utc, row.platform_run_id, row.hash, row.envelope)
    if not all(required):
        return False
    try:
        micros(row.ts_utc or "")
        document = read_json(row.envelope or "")
    except (ValueError, RecursionError):
        return False
    if not says_one_thing(row.envelope or "", declared):
        return False
    if not isinstance(document, dict) or not isinstance(document.get("payload"), dict):
        return False
    return not seen_twice or row.hash == envelope_hash(row.envelope or "")


def winner(copies: list[Delivery]) -> Delivery:
    """Of one event's deliveries: the first delivered where all have an arrival, else the smallest position."""
    if all(d.arrival is not None for d in copies):
        return min(copies, key=lambda d: (d.arrival, d.position))
    return min(copies, key=lambda d: d.position)


def event_of(d: Delivery) -> Event:
    row = d.row
    ts = micros(row.ts_utc or "")
    document = read_json(row.envelope or "")
    place = (d.topic, d.partition, d.offset)
    names = (row.platform_run_id or "", row.event_id or "", row.event_type or "")
    return Event(*names, ts, *place, d.arrival, document, row.ts_utc or "", row.scenario_run_id)


def replay(world: World, training: bool, groups: Iterable[Mapping[str, Any]] = (), own: Iterable[str] = ()) -> Replay:
    """The facts, in the order of work: positions, run scope, event ids, event types; raises every fault at once.

    `groups`, `own`: what a build would compute, and the paths that rows keep of their event; none may stand twice.
    """
    intent = world.intent
    ranges, segments = resolve_basis(intent["replay_basis"]), linked(world.segments)
    faults = [code for r in ranges if (code := completeness(r, segments))]
    delivered = deliveries(ranges, segments)
    arrival_of = archived if world.policy.get("arrival") == "archived_at_utc" else published
    positions, mismatch = one_per_position(delivered, arrival_of)
    positions = with_arrivals(positions, arrival_of)
    mine = [d for d in positions if in_run_scope(d.row, intent)]
    valid = valid_records(delivered, mine, declared_members(intent, groups, own))
    winners, losers = exactly_once(valid)
    conflicts = sum(d.row.hash != winners[d.key].row.hash for d in losers)
    if training:
        faults += ["REPLAY_DUPLICATE_OFFSET_MISMATCH"] * mismatch
        faults += ["REPLAY_EVENT_INVALID"] * (len(valid) < len(mine))
        faults += ["REPLAY_EVENT_ID_CONFLICT"] * bool(conflicts)
    types = (intent.get("filters") or {}).get("event_types")
    events = [event_of(d) for d in winners.values() if types is None or d.row.event_type in types]
    if faults or not events:
        raise Refused(faults or "REPLAY_EVENTS_EMPTY")
    counts = {
        "delivered": len(delivered),
        "position_duplicates": len(delivered) - len(positions),
        "positions": len(positions),
        "rows": len(events),
        "redeliveries": len(losers) - conflicts,
        "conflicts": conflicts,
        "invalid": len(mine) - len(valid),
        "out_of_scope": len(positions) - len(mine) + len(winners) - len(events),
    }
    return Replay(sorted(events, key=lambda e: e.total), counts, truncation_bound(ranges, events))


def deliveries(ranges: list[Range], segments: list[Segment]) -> list[Delivery]:
    """Every stored row inside the basis."""
    return [
        Delivery(s.topic, s.partition, row.offset, row)
        for s in segments
        for row in s.rows
        if any(r.holds(s.topic, s.partition, s.offset_kind, row.offset) for r in ranges)
    ]


def in_run_scope(row: Row, intent: Mapping[str, Any]) -> bool:
    """Rows of other runs and of unlisted scenarios are set aside, unjudged; a row that names no run is judged."""
    scenarios = intent.get("scenario_run_ids")
    return row.platform_run_id in (None, "", intent["platform_run_id"]) and (
        not scenarios or row.scenario_run_id in scenarios
    )


def valid_records(delivered: list[Delivery], mine: list[Delivery], declared: set[Names]) -> list[Delivery]:
    copies, sightings = Counter(d.position for d in delivered), Counter(d.key for d in mine)
    wrong = {d.position for d in delivered if copies[d.position] > 1 and not is_own_hash(d.row)}
    return [d for d in mine if d.position not in wrong and readable(d.row, sightings[d.key] > 1, declared)]


def is_own_hash(row: Row) -> bool:
    """Whether a record states the hash of its own envelope."""
    try:
        return row.hash is not None and row.hash == envelope_hash(row.envelope or "")
    except ValueError:
        return False


def exactly_once(valid: list[Delivery]) -> tuple[dict[Any, Delivery], list[Delivery]]:
    """The winner of each event id, and the copies that lost."""
    copies = defaultdict(list)
    for d in valid:
        copies[d.key].append(d)
    winners = {key: winner(same) for key, same in copies.items()}
    return winners, [d for d in valid if winners[d.key] is not d]


def truncation_bound(ranges: list[Range], events: list[Event]) -> int:
    """The latest, over the slices, of the ts of the slice's first in-scope event."""
    held = [[e for e in events if r.holds(e.topic, e.partition, r.kind, e.offset)] for r in ranges]
    return max(min(slice_, key=lambda e: e.offset).ts for slice_ in held if slice_)
