"""Whether linked segments prove a sparse stretch complete: reachability over a shard's links, once for all its ranges.

A segment says what it follows: between its previous_last_offset and its own last offset the shard has no record but its
own. It is linked to every segment that holds the offset it follows: the one that ends there, a re-archived copy of it,
or, where a consumer restarted from a checkpoint, one that was read beyond it. A chain's floor is what its first segment
follows; the chain proves every stretch above its floor and up to its last offset.

A link leads from a lower first offset to a higher one, so one walk in the order of first offsets gives each segment the
least floor of all chains that end with it. Which offsets inside a segment were read, its scan says; of segments that
were not scanned, only what the index states is known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from ofs_spark.foundation.positions import Range
from ofs_spark.replay.index import Segment

_SHARD_START = -1
"""Floor of a chain that starts with its shard: below every sequence number."""
_SHOWN = 300
"""Characters of a path that a message shows."""

Held = Mapping[str, Iterable[int]]
"""Path of a scanned segment → those of the offsets asked about that it holds."""


class ShardChains:
    """The chains of one shard. `segments`: all that the index names of it, in order; `held`: what the scans found."""

    def __init__(self, segments: Sequence[Segment], held: Held) -> None:
        self._segments = segments
        self._reached = list(accumulate((s.file.last for s in segments), max))
        self._all = _find_reaches(segments, held)
        self._attested = _find_reaches([s for s in segments if s.attested], held)
        self._unattested = [s for s in segments if not s.attested]
        self._unattested_reached = list(accumulate((s.file.last for s in self._unattested), max))

    def find_problem(self, offset_range: Range) -> str:
        """Why no chain of links that the archive's writer attests proves the range; "" if one does."""
        start, last = offset_range.start, offset_range.last
        short = self.find_short_end(offset_range)
        if short:
            return short
        proven = _find_reach(self._all, start)
        if proven < start:
            first = self._segments[bisect_left(self._reached, start)]
            return f"nothing proves that no record precedes {_show(first)} inside the range"
        if proven < last:
            after = self._segments[bisect_right(self._reached, proven)]
            follows = "nothing" if after.previous_last is None else after.previous_last
            return f"{_show(after)} follows {follows}, the linked segments before it end at {proven}"
        if _find_reach(self._attested, start) < last:
            lone = self._unattested[bisect_left(self._unattested_reached, start)]
            return f"only an index made by OFS attests the link of {_show(lone)}"
        return ""

    def find_short_end(self, offset_range: Range) -> str:
        """Why the archive does not reach the range's end, which no scan can mend; "" if it does."""
        if not self._segments:
            return "the index names no segment of it"
        short = self._reached[-1] < offset_range.last
        return f"its end lies beyond the archive's last one, {self._reached[-1]}" if short else ""


_Reaches = tuple[list[int], list[int]]
"""Floors ascending, and beside each the greatest last offset of the chains whose floor is no greater."""


def _find_reaches(segments: Sequence[Segment], held: Held) -> _Reaches:
    floors: dict[int, int] = {}  # an offset that a chain holds → the least floor of such chains
    chains: list[tuple[int, int]] = []
    for segment in segments:
        follows = _SHARD_START if segment.shard_start else segment.previous_last
        if follows is None:
            continue
        floor = min(follows, floors.get(follows, follows))
        chains.append((floor, segment.file.last))
        for offset in (segment.file.first, segment.file.last, *held.get(segment.file.path, ())):
            floors[offset] = min(floor, floors.get(offset, floor))
    chains.sort()
    return [floor for floor, _ in chains], list(accumulate((last for _, last in chains), max))


def _find_reach(reaches: _Reaches, start: int) -> int:
    """The last offset up to which some chain proves what begins with `start`; less than `start` where none does."""
    floors, lasts = reaches
    below = bisect_left(floors, start)
    return lasts[below - 1] if below else _SHARD_START


def _show(segment: Segment) -> str:
    path = segment.file.path
    return path if path.isprintable() and len(path) <= _SHOWN else f"{path!r:.{_SHOWN}}"
