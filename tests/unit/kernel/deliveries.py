"""Orders of delivery that late data takes, as Hypothesis strategies over rows of a few keys."""

from __future__ import annotations

from hypothesis import strategies as st

HOUR = 3_600_000_000
DAY = 24 * HOUR
STEPS = (0, 0, 1, HOUR // 3, HOUR - 1, HOUR, HOUR + 1, DAY)
ORDERS = ("in order", "late", "newest first", "any", "ahead", "behind", "two partitions")


@st.composite
def stamps(draw: st.DrawFn, most: int = 40) -> list[tuple[int, int]]:
    """(event time, arrival) of each event: many ties, windows' ends to the microsecond, arrivals from one order."""
    n = draw(st.integers(1, most))
    steps = draw(st.lists(st.sampled_from(STEPS), min_size=n, max_size=n))
    ts = [sum(steps[: i + 1]) for i in range(n)]
    order = draw(st.sampled_from(ORDERS))
    arrival = list(ts)
    if order == "late":
        arrival = [t + draw(st.sampled_from([0, 0, 1, HOUR, 2 * DAY])) for t in ts]
    if order == "newest first":
        arrival = [-t for t in ts]
    if order == "any":
        arrival = [draw(st.integers(0, n)) for _ in ts]
    if order == "ahead":  # one clock far in the future, delivered first
        ts[0] = 9 * DAY + ts[-1]
    if order == "behind":  # one stamped before all others, delivered last
        arrival[0] = 1 + ts[-1]
    if order == "two partitions":
        arrival = [t + DAY * draw(st.integers(0, 1)) for t in ts]
    return list(zip(ts, arrival, strict=True))
