"""WINDOW_END: whether the snapshot's content is the state of other ends of the partitions.

Moving an end over a delivery changes the event count of its key by one, so other ends are looked for by counts: every key
has a random-looking number, a move adds the numbers of the keys it applies and takes away those it drops, and the moves
that are sought add up to the number of what the anchor has more and less. What adds up is then re-computed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, islice, product
from typing import TypeAlias

from ofs_spark.foundation.positions import DENSE_KINDS
from ofs_spark.parity.case import Case, count_events, find_field
from ofs_spark.parity.causes import Cause, CauseKind, EndShift, State, list_positions
from ofs_spark.parity.events import OnlineEvent, Place, Ruling
from ofs_spark.parity.sums import ROUNDING

Moves: TypeAlias = Mapping[Place, int]
"""Of each partition that moves: how many deliveries its end passes, negative for backward."""

CARRIERS = 64
"""Ways tried to say which copy of an event, of several that lie near ends, counts."""
TOGETHER = 20_000
"""Choices tried when three or more ends move at once."""
SOLUTIONS, PROOFS = 200, 8
"""Moves whose counts fit that are looked at, and those of them that are re-computed."""


@dataclass(frozen=True)
class Track:
    """The deliveries an end passes: forward those beyond it, ascending; back those inside, descending. Copies that cannot
    matter are left out."""

    forward: tuple[Ruling, ...]
    back: tuple[Ruling, ...]

    def pass_over(self, moves: int) -> tuple[Ruling, ...]:
        """What so many moves pass."""
        return self.forward[:moves] if moves > 0 else self.back[:-moves]

    def list_hashes(self) -> Iterator[tuple[int, int]]:
        """(moves, sum of the keys' numbers that they add or take away), nearest first; no move is not among them."""
        gained = accumulate(_number(one.key) for one in self.forward)
        lost = accumulate(-_number(one.key) for one in self.back)
        yield from enumerate(gained, 1)
        yield from ((-moves, total) for moves, total in enumerate(lost, 1))


Tracks: TypeAlias = Mapping[Place, Track]


def explain_by_ends(case: Case) -> tuple[Cause, dict[str, State | None]] | None:
    """Other ends that give the anchor's state of every differing key, and leave the others as they are; None if none does."""
    needed = {key: count_events(case.expected.get(key)) - count_events(case.rebuilt.get(key)) for key in case.keys}
    needed = {key: count for key, count in needed.items() if count}
    found: list[tuple[Tracks, Moves]] = []
    for tracks in _list_tracks(case):
        found += [(tracks, moves) for moves in islice(_search(tracks, needed), SOLUTIONS)]
    found.sort(key=lambda one: (len(one[1]), sum(map(abs, one[1].values()))))
    plausible = (one for one in found if _is_plausible(case, *one))
    for tracks, moves in islice(plausible, PROOFS):
        ends = dict(case.ends) | {place: _find_end(tracks[place], count) for place, count in moves.items()}
        patch = case.find_patch(ends, case.rules)
        if patch is not None:
            return _tell(case, tracks, moves, ends), patch
    return None


def _find_end(track: Track, moves: int) -> int:
    """The greatest order inside the moved end. One less than an order is compared only: it need be no record's."""
    last = track.pass_over(moves)[-1].event.order
    return last if moves > 0 else last - 1


def _number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:16])


def _list_tracks(case: Case) -> Iterator[Tracks]:
    """The tracks; several when copies of one event lie near several ends: which of them counts depends on the ends."""
    certain: list[Ruling] = []
    open_: list[list[Ruling]] = []
    for same in _list_firsts(case):
        near = [one for one in same if _is_near(case, one.event)]
        if any(one.event.order <= case.ends.get(one.event.place, -1) for one in same if one not in near):
            continue  # this copy stays applied wherever the ends move
        if len(near) == 1:
            certain += near
        elif near:
            open_.append(sorted(near, key=lambda one: not one.applied))
    for chosen in islice(product(*open_), CARRIERS):
        yield _lay_tracks(case, [*certain, *chosen])


def _list_firsts(case: Case) -> Iterator[list[Ruling]]:
    """Of each event the first delivery in every partition, of those that nothing but a copy keeps from being applied."""
    copies: dict[tuple[str, str], dict[Place, Ruling]] = defaultdict(dict)
    for judged, ruling in zip(case.judged, case.rulings, strict=True):
        if judged.skip is None:
            first = copies[judged.identity].setdefault(ruling.event.place, ruling)
            if ruling.event.order < first.event.order:
                copies[judged.identity][ruling.event.place] = ruling
    yield from (list(by_place.values()) for by_place in copies.values())


def _is_near(case: Case, event: OnlineEvent) -> bool:
    first, last = case.whole.get(event.place, (0, -1))
    end = case.ends.get(event.place, -1)
    return first <= end + 1 and last >= end and first <= event.order <= last


def _lay_tracks(case: Case, rulings: Sequence[Ruling]) -> Tracks:
    by_place: dict[Place, list[Ruling]] = defaultdict(list)
    for one in rulings:
        by_place[one.event.place].append(one)
    return {place: _lay_track(case, place, by_place[place]) for place in sorted(by_place)}


def _lay_track(case: Case, place: Place, rulings: list[Ruling]) -> Track:
    ascending, end, most = (
        sorted(rulings, key=lambda one: one.event.order),
        case.ends.get(place, -1),
        case.bounds.window,
    )
    forward = [one for one in ascending if one.event.order > end]
    back = [one for one in reversed(ascending) if one.event.order <= end]
    return Track(tuple(forward[:most]), tuple(back[:most]))


def has_longer_tracks(case: Case) -> bool:
    """Whether some partition has more deliveries on a side of its end than are moved over."""
    sides = Counter(
        (one.event.place, one.event.order > case.ends.get(one.event.place, -1))
        for one in case.rulings
        if _is_near(case, one.event)
    )
    return any(count > case.bounds.window for count in sides.values())


def _search(tracks: Tracks, needed: Mapping[str, int]) -> Iterator[Moves]:
    """Moves whose counts fit: of one end, of two, then of more."""
    target = sum(count * _number(key) for key, count in needed.items())
    hashes = {place: list(track.list_hashes()) for place, track in tracks.items()}
    for place, steps in hashes.items():
        yield from ({place: moves} for moves, total in steps if total == target)
    for one, other in combinations(hashes, 2):
        by_total = {total: moves for moves, total in reversed(hashes[one])}
        for moves, total in hashes[other]:
            if target - total in by_total:
                yield {one: by_total[target - total], other: moves}
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
            change[one.key] += sign
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
    for place, count in moves.items():
        for one in tracks[place].pass_over(count):
            change[one.key] += one.amount if count > 0 else -one.amount
            passed[one.key] += abs(one.amount)
    for key in case.keys:
        sums = [(state or {}).get("amount_sum", 0.0) for state in (case.expected.get(key), case.rebuilt.get(key))]
        applied = case.applied.get(key, [])
        size = sum(abs(one.amount) for one in applied) + passed[key]
        if abs(sums[0] - sums[1] - change[key]) > 16 * (len(applied) + 1_000) * ROUNDING * size:
            return False
    return True


def _tell(case: Case, tracks: Tracks, moves: Moves, ends: Mapping[Place, int]) -> Cause:
    shifts = tuple(_describe_shift(case, tracks[place], place, moves[place]) for place in sorted(moves))
    after = case.rule(ends, case.rules)
    pairs = list(zip(case.rulings, after, strict=True))
    lost = [old.event for old, new in pairs if old.applied and not new.applied]
    gained = [new.event for old, new in pairs if new.applied and not old.applied]
    said = [f"{word}: {list_positions(some)}" for word, some in (("applied", gained), ("not applied", lost)) if some]
    text = f"the content is that of other ends ({'; '.join(map(str, shifts))}); {'; '.join(said)}"
    field = find_field(case.expected, case.rebuilt, case.keys)
    return Cause(CauseKind.WINDOW_END, case.keys, field, (*gained, *lost), text, True, ends=shifts)


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
