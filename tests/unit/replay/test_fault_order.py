"""Every code of the table has its place among the faults of a scan."""

from __future__ import annotations

import itertools

from ofs_spark.foundation.errors import CODES, ROOM_ORDER
from ofs_spark.replay.faults import ReplayFault, sort_faults


def test_every_code_has_a_place_among_the_faults_of_a_scan() -> None:
    told = sort_faults(ReplayFault(code, "m") for code in reversed(CODES))
    rooms = [ROOM_ORDER.index(CODES[fault.code].room) for fault in told]
    assert rooms == sorted(rooms)
    assert [fault.code for fault in told] == [fault.code for fault in sort_faults(reversed(told))]
    for one, other in itertools.pairwise(told):
        assert sort_faults([other, one]) == (one, other)
