"""The facts of every small spec world, as the replay room sees them: the oracle's events, counts and refusals."""

from __future__ import annotations

import pytest

from tests.oracle.build import admit
from tests.oracle.exact import Refused
from tests.spec.tables import ALL
from tests.unit.replay.room import basis_of
from tests.unit.replay.test_oracle import agree
from tests.worlds.tables import Case
from tests.worlds.writer import Layout

LAYOUTS = {
    "as drawn": Layout(),
    "one row a file": Layout(rows_per_segment=1),
    "shuffled": Layout(shuffled=7),
}


def readable(case: Case) -> bool:
    """Whether the intent itself is admissible and its basis resolves: other rooms judge the rest of the world."""
    try:
        admit(case.world.intent)
        basis_of(case.world)
    except (Refused, ValueError):
        return False
    return True


READABLE = {name: case for name, case in ALL.items() if readable(case)}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("case", READABLE.values(), ids=READABLE)
def test_facts(case: Case, layout: Layout) -> None:
    agree(case.world, layout)
