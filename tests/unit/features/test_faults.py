"""Faults of many targets become the refusals of one build: counts added up, the first position, one order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pyarrow as pa

from ofs_spark.features.faults import make_fault, merge_faults
from ofs_spark.foundation.columnar.notes import EventPlace, Fault
from ofs_spark.foundation.positions import Range
from ofs_spark.replay import rows as r

BASIS = [Range("t", partition, "kafka_offset", 0, 10) for partition in (0, 1)]
FAULTS = (
    Fault("ORDER_UNDEFINED", "keys span partitions", subject="g", count=1, first=EventPlace(0, 3, "3", "e3")),
    Fault("FEATURE_VALUE_INVALID", "must be int", subject="g.v", count=2, first=EventPlace(1, 0, "7", "e7")),
    Fault("FEATURE_VALUE_INVALID", "must be int", subject="g.v", count=3, first=EventPlace(0, 5, "5", "e5")),
    Fault("LABEL_STORE_UNAVAILABLE", "b is missing", {"ref": "b"}),
    Fault("LABEL_STORE_UNAVAILABLE", "a is missing", {"ref": "a"}),
)


def test_faults_are_told_in_one_order_whoever_reports_first() -> None:
    for faults in permutations(FAULTS):
        told = merge_faults(faults, BASIS)
        assert [(one.code, one.message) for one in told] == [
            ("LABEL_STORE_UNAVAILABLE", "a is missing"),
            ("LABEL_STORE_UNAVAILABLE", "b is missing"),
            ("FEATURE_VALUE_INVALID", "g.v: must be int; 5 events, the first at t partition 0 offset 5"),
            ("ORDER_UNDEFINED", "g: keys span partitions; 1 event, the first at t partition 0 offset 3"),
        ]
        assert told[0].details == {"ref": "a"}
        first = {"topic": "t", "partition": 0, "event_id": "e5", "offset": "5"}
        assert told[2].details == {"subject": "g.v", "events": 5, "first": first}


def test_the_same_refusal_of_two_files_is_told_twice() -> None:
    assert len(merge_faults([FAULTS[3], FAULTS[3]], BASIS)) == 2


def test_an_event_id_of_any_length_is_told_in_part() -> None:
    place = {r.PARTITION_ORDINAL: [0], r.SEQ: [0], r.OFFSET: ["0"], r.EVENT_ID: ["e\n" + "x" * 100_000]}
    fault = make_fault("ORDER_UNDEFINED", "g", "m", np.ones(1, np.bool_), pa.table(place))
    (refusal,) = merge_faults([fault], BASIS)
    assert refusal.details["first"]["event_id"] == "e\\n" + "x" * 197 + "…"
