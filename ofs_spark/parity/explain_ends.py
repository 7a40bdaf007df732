"""WINDOW_END: whether the snapshot's content is the state of other ends of the partitions.

Moving an end over a delivery changes the event count of its key by one, so other ends are looked for by counts: every key
has a random-looking number, a move adds the numbers of the keys it applies and takes away those it drops, and the moves
that are sought add up to the number of what the anchor has more and less. What adds up is then re-computed.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, islice, product
from typing import TypeAlias

from ofs_spark.foundation.positions import DENSE_KINDS
from ofs_spark.parity.case import Case, count_events, find_field
from ofs_spark.parity.causes import Cause, CauseKind, Changes, EndShift, State, list_positions
from ofs_spark.parity.events import OnlineEvent, Place, Ruling
from ofs_spark.parity.sums import ROUNDING

Stretches: TypeAlias = Mapping[Place, tuple[int, int]]
Moves: TypeAlias = Mapping[Place, int]
"""Of each partition that moves: how many deliveries its end passes, negative for backward."""

REACHES = (12, 100)
"""Records on either side of an end that are tried before all are; the fewer, the fewer copies of one event lie near."""
CARRIERS = 64
"""Ways tried to say which copy of an event, of several that lie near ends, counts."""
TOGETHER = 20_000
"""Choices tried when three or more ends move at once."""
SOLUTIONS, PROOFS = 200, 8
"""Moves whose counts fit that are looked at, and those of them that are re-computed."""


@dataclass(frozen=True)
class Track:
    """The deliveries an end passes: forward those beyond it, ascending; back those inside, descending.

    idle: by identity, copies of events that are counted elsewhere; passing one changes no count, but may change which copy
    is applied.
    """

    forward: tuple[Ruling, ...]
    back: tuple[Ruling, ...]
    idle: frozenset[int]

    def pass_over(self, moves: int) -> tuple[Ruling, ...]:
        """What so many moves pass."""
        return self.forward[:moves] if moves > 0 else self.back[:-moves]

    def weigh(self, ruling: Ruling) -> int:
        """By how much passing a delivery changes the count of its key."""
        return 0 if id(ruling) in self.idle else 1

    def list_hashes(self) -> Iterator[tuple[int, int]]:
        """(moves, sum of the keys' numbers that they add or take away), nearest first; no move is not among them."""
        gained = accumulate(self.weigh(one) * _number(one.key) for one in self.forward)
        lost = accumulate(-self.weigh(one) * _number(one.key) for one in self.back)
        yield from enumerate(gained, 1)
        yield from ((-moves, total) for moves, total in enumerate(lost, 1))


Tracks: TypeAlias = Mapping[Place, Track]


def explain_by_ends(case: Case) -> tuple[Cause, dict[str, State | None]] | None:
    """Other ends that give the anchor's state of every differing key, and leave the others as they are; None if none does."""
    needed = {key: count_events(case.expected.get(key)) - count_events(case.rebuilt.get(key)) for key in case.differing}
    needed = {key: count for key, count in needed.items() if count}
    firsts = list(_list_firsts(case))
    for reach in [*(one for one in REACHES if one < case.bounds.window), case.bounds.window]:
        found = _explain_within(case, needed, list(_list_tracks(case, firsts, _find_stretches(case, reach))))
        if found:
            return found
    return None


def _explain_within(
    case: Case, needed: Mapping[str, int], laid: Sequence[Tracks]
) -> tuple[Cause, dict[str, State | None]] | None:
    found: list[tuple[Tracks, Moves]] = []
    for tracks in laid:
        found += [(tracks, moves) for moves in islice(_search(tracks, needed), SOLUTIONS)]
    found.sort(key=lambda one: (len(one[1]), sum(map(abs, one[1].values()))))
    plausible = (one for one in found if _is_plausible(case, *one))
    proven: set[tuple[tuple[Place, int], ...]] = set()
    for tracks, moves in plausible:
        ends = dict(case.ends) | {place: _find_end(tracks[place], count) for place, count in moves.items()}
        choice = tuple(sorted(ends.items()))
        if choice in proven:
            continue
        proven.add(choice)
        proof = case.prove(ends, case.rules)
        if proof is not None:
            return _tell(case, tracks, moves, proof.changes), proof.patch
        if len(proven) == PROOFS:
            break
    return None


def _find_stretches(case: Case, reach: int) -> Stretches:
    """Of each partition the orders that lie at most so many records from its end, within what is whole."""
    orders: dict[Place, set[int]] = defaultdict(set)
    for one in case.events:
        first, last = case.whole.get(one.place, (0, -1))
        end = case.ends.get(one.place, -1)
        if first <= end + 1 and last >= end and first <= one.order <= last:
            orders[one.place].add(one.order)
    found: dict[Place, tuple[int, int]] = {}
    for place, some in orders.items():
        ascending = sorted(some)
        at = bisect_right(ascending, case.ends.get(place, -1))
        found[place] = ascending[max(0, at - reach)], ascending[min(len(ascending), at + reach) - 1]
    return found


def _find_end(track: Track, moves: int) -> int:
    """The greatest order inside the moved end. One less than an order is compared only: it need be no record's."""
    last = track.pass_over(moves)[-1].event.order
    return last if moves > 0 else last - 1


def _number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:16])


def _list_tracks(case: Case, firsts: Sequence[Sequence[Ruling]], stretches: Stretches) -> Iterator[Tracks]:
    """The tracks; several when copies of one event lie near several ends: which of them counts depends on the ends."""
    passed: list[Ruling] = []
    idle: list[Ruling] = []
    open_: list[tuple[list[Ruling], list[Ruling | None]]] = []
    for same in firsts:
        near = [one for one in same if _is_inside(one.event, stretches)]
        passed += near
        if any(one.event.order <= case.ends.get(one.event.place, -1) for one in same if one not in near):
            idle += near  # another copy stays applied wherever the ends move
        elif len(near) > 1:
            applied = [one for one in near if one.applied]
            # An applied event goes with the copy applied, or not at all; another comes with any of its copies.
            open_.append((near, [*applied, None] if applied else [*near]))
    for counted in islice(product(*(ways for _, ways in open_)), CARRIERS):
        others = [one for (same, _), chosen in zip(open_, counted, strict=True) for one in same if one is not chosen]
        yield _lay_tracks(case, passed, frozenset(map(id, [*idle, *others])))


def _is_inside(event: OnlineEvent, stretches: Stretches) -> bool:
    first, last = stretches.get(event.place, (0, -1))
    return first <= event.order <= last


def _list_firsts(case: Case) -> Iterator[list[Ruling]]:
    """Of each event the first delivery in every partition, of those that nothing but a copy keeps from being applied."""
    copies: dict[tuple[str, str], dict[Place, Ruling]] = defaultdict(dict)
    for judged, ruling in zip(case.judged, case.rulings, strict=True):
        if judged.skip is None:
            first = copies[judged.identity].setdefault(ruling.event.place, ruling)
            if ruling.event.order < first.event.order:
                copies[judged.identity][ruling.event.place] = ruling
    yield from (list(by_place.values()) for by_place in copies.values())


def _lay_tracks(case: Case, rulings: Sequence[Ruling], idle: frozenset[int]) -> Tracks:
    by_place: dict[Place, list[Ruling]] = defaultdict(list)
    for one in rulings:
        by_place[one.event.place].append(one)
    return {place: _lay_track(case, place, by_place[place], idle) for place in sorted(by_place)}


def _lay_track(case: Case, place: Place, rulings: list[Ruling], idle: frozenset[int]) -> Track:
    ascending, end = sorted(rulings, key=lambda one: one.event.order), case.ends.get(place, -1)
    forward = [one for one in ascending if one.event.order > end]
    back = [one for one in reversed(ascending) if one.event.order <= end]
    return Track(tuple(forward), tuple(back), idle)


def has_longer_stretches(case: Case) -> bool:
    """Whether more records were given around some end than are moved over."""
    most = case.bounds.window
    return _find_stretches(case, most) != _find_stretches(case, most + 1)


def _search(tracks: Tracks, needed: Mapping[str, int]) -> Iterator[Moves]:
    """Moves whose counts fit: of one end, of two, then of more."""
    target = sum(count * _number(key) for key, count in needed.items())
    hashes = {place: list(track.list_hashes()) for place, track in tracks.items()}
    for place, steps in hashes.items():
        yield from ({place: moves} for moves, total in steps if total == target)
    for one, other in combinations(hashes, 2):
        by_total: dict[int, list[int]] = defaultdict(list)
        for moves, total in hashes[one]:
            by_total[total].append(moves)
        for moves, total in hashes[other]:
            yield from ({one: first, other: moves} for first in by_total.get(target - total, ()))
    yield from _search_together(tracks, needed)


def _search_together(tracks: Tracks, needed: Mapping[str, int]) -> Iterator[Moves]:
    """Moves of three ends or more, no key both gaining and losing."""
    ways = {place: list(_list_ways(track, needed)) for place, track in tracks.items()}
    places = [place for place in ways if len(ways[place]) > 1]
    if len(places) < 3:
        return
    reach = _find_reach([ways[place] for place in places])
    stack: list[tuple[int, Moves, Counter[str]]] = [(0, {}, Counter(needed))]
    for _ in range(TOGETHER):
        if not stack:
            return
        depth, moves, left = stack.pop()
        if any(abs(count) > reach[depth].get((key, count > 0), 0) for key, count in left.items()):
            continue
        if depth == len(places):
            yield moves
            continue
        for count, change in ways[places[depth]]:
            rest = Counter(left)
            rest.subtract(change)
            kept = Counter({key: value for key, value in rest.items() if value})
            stack.append((depth + 1, {**moves, places[depth]: count} if count else moves, kept))


def _list_ways(track: Track, needed: Mapping[str, int]) -> Iterator[tuple[int, Counter[str]]]:
    """(moves, change of counts) that ask of no key more than is needed of it; no move first."""
    yield 0, Counter()
    for sign, passed in ((1, track.forward), (-1, track.back)):
        change: Counter[str] = Counter()
        for moves, one in enumerate(passed, 1):
            change[one.key] += sign * track.weigh(one)
            if sign * needed.get(one.key, 0) < sign * change[one.key]:
                break
            yield sign * moves, Counter(change)


def _find_reach(ways: Sequence[Sequence[tuple[int, Counter[str]]]]) -> list[dict[tuple[str, bool], int]]:
    """For each depth: how much the partitions from there on can give a key, and take from it."""
    reach: list[dict[tuple[str, bool], int]] = [{}]
    for steps in reversed(ways):
        most: dict[tuple[str, bool], int] = defaultdict(int)
        for _, change in steps:
            for key, count in change.items():
                most[key, count > 0] = max(most[key, count > 0], abs(count))
        later = reach[0]
        reach.insert(0, {side: most.get(side, 0) + later.get(side, 0) for side in {*most, *later}})
    return reach


def _is_plausible(case: Case, tracks: Tracks, moves: Moves) -> bool:
    """Whether the amounts that the moves pass make up each differing key's, but for rounding."""
    change: dict[str, float] = defaultdict(float)
    passed: dict[str, float] = defaultdict(float)
    unclear: set[str] = set()
    for place, count in moves.items():
        for one in tracks[place].pass_over(count):
            if not tracks[place].weigh(one):
                unclear.add(one.key)
            change[one.key] += one.amount if count > 0 else -one.amount
            passed[one.key] += abs(one.amount)
    for key in case.looked_at - unclear:
        sums = [(state or {}).get("amount_sum", 0.0) for state in (case.expected.get(key), case.rebuilt.get(key))]
        applied = case.applied.get(key, [])
        size = sum(abs(one.amount) for one in applied) + passed[key]
        if abs(sums[0] - sums[1] - change[key]) > 16 * (len(applied) + 1_000) * ROUNDING * size:
            return False
    return True


def _tell(case: Case, tracks: Tracks, moves: Moves, changes: Changes) -> Cause:
    shifts = tuple(_describe_shift(case, tracks[place], place, moves[place]) for place in sorted(moves))
    gained, lost = changes.gained, changes.lost
    named = (("applied", gained), ("not applied", lost))
    said = [f"{word}: {list_positions(some.events, some.more)}" for word, some in named if some.count]
    text = f"the content is that of other ends ({'; '.join(map(str, shifts))}); {'; '.join(said)}"
    field = find_field(case.expected, case.rebuilt, case.differing)
    positions = (*gained.events, *lost.events)
    more = gained.more + lost.more
    return Cause(CauseKind.WINDOW_END, case.differing, field, positions, text, True, ends=shifts, more=more)


def _describe_shift(case: Case, track: Track, place: Place, moves: int) -> EndShift:
    stated = case.ends.get(place, -1)
    last = track.pass_over(moves)[-1].event
    found = last.offset if moves > 0 else _find_offset_before(case, last)
    return EndShift(*place, str(stated) if stated >= 0 else None, found)


def _find_offset_before(case: Case, event: OnlineEvent) -> str | None:
    """The offset before a delivery: by arithmetic where offsets are consecutive, else that of the record given before it."""
    if event.offset_kind in DENSE_KINDS:
        return str(event.order - 1) if event.order else None
    before = [one for one in case.events if one.place == event.place and one.order < event.order]
    return max(before, key=lambda one: one.order).offset if before else None
