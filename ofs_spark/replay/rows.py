"""Names of the narrow typed columns that the segment scan emits and later rooms read.

| column | type | meaning |
|---|---|---|
| event_id | string | as archived; staged rows may have it packed (`columnar/ids.py`) |
| event_type | dictionary of strings | as archived |
| ts | int64 | event time, µs since the epoch, UTC |
| partition_ordinal | int32 | ordinal of (topic, partition) among the basis', by topic text then partition number |
| seq | int64 | order of the position inside its partition; orders exactly as offsets do |
| offset | string | the offset as archived |
| arrival | int64 | running arrival inside the partition, µs; NO_ARRIVAL when none is known so far |
| payload_hash | binary(32) | as archived; of meaning only where `hash_ok` |
| hash_ok | bool | the archived hash is that of the envelope |
| flags | int64 | IN_SCOPE, the anchor's flag (`anchors.py`), UNREADABLE, then one bit per group of which the event is a source |
| r{i} | per read | value of `Program.reads[i]`: int64 (unscaled), decimal text for wide decimals, double, string, bool |
| r{i}_s | uint8 | PRESENT, MISSING or INVALID |
| w{i} | bool | the event meets `Program.conditions[i]` (unknown counts as not) |
| c{i}_key, c{i}_amount | string, double | core law i: key text "field:value" (null: the online plane skips it), amount |
| ts_text | string | only with a core law: the event time as archived text, or the text of an archived timestamp |

A scan for the online plane's law (`ScanSpec.online`) emits every position as one row of partition_ordinal, seq, offset,
arrival, ts_text, c{i}_key, c{i}_amount as above, and

| column | type | meaning |
|---|---|---|
| skip | uint8 | why the online plane skips the event whatever came before it: 0, or a code of `online_law.SKIP_CODES` |
| event_print | binary(16) | hash of (event class, event id): two events that are applied are the same iff it is |
| route | uint32 | CRC-32 of the first law's key text: which share of the keys the event falls to |
| payload_print | binary(16) | hash of the canonical {event_type, payload, schema_version} |

Prints are of meaning only where skip is 0; the key is null elsewhere.
"""

from __future__ import annotations

from ofs_spark.foundation.columnar.times import NO_INSTANT

EVENT_ID = "event_id"
EVENT_TYPE = "event_type"
TS = "ts"
PARTITION_ORDINAL = "partition_ordinal"
SEQ = "seq"
OFFSET = "offset"
ARRIVAL = "arrival"
PAYLOAD_HASH = "payload_hash"
TS_TEXT = "ts_text"
HASH_OK = "hash_ok"
FLAGS = "flags"
SKIP = "skip"
EVENT_PRINT = "event_print"
PAYLOAD_PRINT = "payload_print"
ROUTE = "route"

NO_ARRIVAL = NO_INSTANT

IN_SCOPE = 1
"""Flag: passes the intent's event types (its run scope is already given)."""
UNREADABLE = 4
"""Flag: an invalid record, kept only as one more sighting of its event id; every other column of it means nothing."""
FIRST_GROUP_BIT = 8
"""Flag bit of group 0's source events; group g has bit FIRST_GROUP_BIT + g."""

PRESENT, MISSING, INVALID = 0, 1, 2


def name_read_column(index: int) -> str:
    """Column of `Program.reads[index]`."""
    return f"r{index}"


def name_status_column(index: int) -> str:
    """Column of the status of `Program.reads[index]`."""
    return f"r{index}_s"


def name_condition_column(index: int) -> str:
    """Column of `Program.conditions[index]`."""
    return f"w{index}"


def name_core_key_column(rules: int) -> str:
    """Column of the key text under core law `law`."""
    return f"c{rules}_key"


def name_core_amount_column(rules: int) -> str:
    """Column of the amount under core law `law`."""
    return f"c{rules}_amount"


def flag_source(group: int) -> int:
    """Flag of the source events of group `group` (at most 55 groups fit; the compiler refuses more)."""
    return 1 << (FIRST_GROUP_BIT + group)
