"""The as-of choice equals its obvious definition on generated assertions, whatever their order."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.labels import asof
from ofs_spark.labels import model as m
from ofs_spark.labels.terms import RULES

TYPES = ("chargeback_status", "fraud_disposition")
SUBJECTS = ["a", "b", "c"]

ROW = st.tuples(
    st.sampled_from([*SUBJECTS, "other"]),
    st.sampled_from([*TYPES, "account_takeover"]),
    st.sampled_from("XYZ"),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 5),
)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns: list[Any] = list(zip(*rows, strict=True)) or [[]] * 6
    event, kind, value, effective, observed, identity = columns
    ids = [bytes.fromhex(f"{i % 2:016x}{i:016x}") for i in identity]
    zeros = [0] * len(ids)
    arrays = [ids, ["run"] * len(ids), event, kind, value, effective, observed, zeros, [b"\0" * 32] * len(ids)]
    return pa.Table.from_arrays(
        [pa.array(a, f.type) for a, f in zip(arrays, m.ASSERTIONS, strict=True)], m.ASSERTIONS.names
    )


def expected(rows: list[dict[str, Any]], rule: str) -> tuple[str | None, str, bytes | None]:
    if not rows:
        return None, "NOT_FOUND", None
    if rule == "ls.latest_observed.v0":
        best = max(rows, key=lambda r: (r[m.OBSERVED], r[m.ASSERTION_ID]))
        return best[m.LABEL_VALUE], "RESOLVED", best[m.ASSERTION_ID]
    newest = max((r[m.EFFECTIVE], r[m.OBSERVED]) for r in rows)
    tied = [r for r in rows if (r[m.EFFECTIVE], r[m.OBSERVED]) == newest]
    if len({r[m.LABEL_VALUE] for r in tied}) > 1:
        return None, "CONFLICT", None
    best = max(tied, key=lambda r: bytes(r[m.ASSERTION_ID]))
    return best[m.LABEL_VALUE], "RESOLVED", best[m.ASSERTION_ID]


@given(
    st.lists(ROW, max_size=25, unique_by=lambda r: r[5:]),
    st.sampled_from(sorted(RULES)),
    st.none() | st.integers(-1, 4),
)
def test_every_choice_is_the_definitions(rows: list[tuple[Any, ...]], rule: str, cutoff: int | None) -> None:
    assertions = table(rows)
    found = asof.resolve_labels(assertions, pa.array(SUBJECTS), TYPES, RULES[rule], cutoff).to_pydict()
    for kind in TYPES:
        for subject, choice in zip(SUBJECTS, found[kind], strict=True):
            mine = [r for r in assertions.to_pylist() if (r[m.EVENT_ID], r[m.LABEL_TYPE]) == (subject, kind)]
            known = [r for r in mine if cutoff is None or r[m.OBSERVED] <= cutoff]
            assert (choice["value"], choice["status"], choice["assertion_id"]) == expected(known, RULES[rule])


def test_the_chosen_assertions_times_come_with_it_and_order_does_not_matter() -> None:
    rows = [("a", TYPES[0], "X", 1, 5, 1), ("a", TYPES[0], "Y", 2, 3, 2)]
    one = asof.resolve_labels(table(rows), pa.array(["a"]), TYPES, "ls.resolved.v0", None)
    other = asof.resolve_labels(table(rows[::-1]), pa.array(["a"]), TYPES, "ls.resolved.v0", None)
    assert one.to_pydict() == other.to_pydict()
    choice = one.column(TYPES[0])[0]
    assert (choice["effective_time"].value, choice["observed_time"].value) == (2, 3)


def test_chunked_sliced_and_empty_tables_are_read_alike() -> None:
    rows = [("a", TYPES[0], "X", 1, 5, 1), ("b", TYPES[1], "Y", 2, 3, 2), ("c", TYPES[1], "Z", 2, 3, 3)]
    chunked = pa.concat_tables([table(rows[:1]), table(rows[1:])])
    sliced = table([("c", TYPES[0], "Y", 9, 9, 9), *rows]).slice(1)
    subjects = pa.array(["z", *SUBJECTS]).slice(1)
    whole = asof.resolve_labels(table(rows), subjects, TYPES, "ls.resolved.v0", None).to_pydict()
    assert asof.resolve_labels(chunked, subjects, TYPES, "ls.resolved.v0", None).to_pydict() == whole
    assert asof.resolve_labels(sliced, subjects, TYPES, "ls.resolved.v0", None).to_pydict() == whole
    none = asof.resolve_labels(table([]), subjects, TYPES, "ls.resolved.v0", None)
    assert none.column(TYPES[1]).to_pylist()[0] == {**dict.fromkeys(m.CHOICE.names), "status": "NOT_FOUND"}
    assert asof.resolve_labels(table(rows), subjects.slice(0, 0), TYPES, "ls.resolved.v0", None).num_rows == 0


def test_equal_copies_are_one_assertion() -> None:
    row = ("a", TYPES[0], "X", 1, 5, 1)
    assert asof.keep_one_per_id(table([row, row, ("b", TYPES[0], "X", 1, 5, 2)])).num_rows == 2
    copied = asof.resolve_labels(table([row, row]), pa.array(["a"]), TYPES, "ls.resolved.v0", None)
    assert copied.column(TYPES[0])[0]["status"].as_py() == "RESOLVED"
