"""What a model learns from: the rows whose label is resolved, their features, and a target of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ofs_spark.api.libraries import import_library, to_model_input
from ofs_spark.api.plane import LOGGER
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.nearest import find_nearest
from ofs_spark.foundation.wording import write_count
from ofs_spark.labels.model import Status, name_label_columns
from ofs_spark.labels.terms import VOCABULARY
from ofs_spark.pins.columns import Column

if TYPE_CHECKING:
    import pandas as pd


class _Pair(NamedTuple):
    """Features and target."""

    X: pd.DataFrame
    y: pd.Series[Any]


class LabelledRows(_Pair):
    """Features and target of the rows whose label is resolved; unpacks into X and y, whose indexes are equal.

    X: the feature columns, numbers and booleans as float64 with NaN for null, other types as pandas has them. y: int8, 1
    where the label's value is a positive one. dropped: rows left out because their label is unresolved. weights: float64,
    how many rows each stands for, where the dataset is sampled; else None.
    """

    dropped: int
    weights: pd.Series[Any] | None

    def __new__(cls, X: pd.DataFrame, y: pd.Series[Any], dropped: int = 0, weights: Any = None) -> LabelledRows:  # noqa: N803
        """The rows, and what is told of them."""
        made = super().__new__(cls, X, y)
        made.dropped, made.weights = dropped, weights
        return made

    def __repr__(self) -> str:
        rows, columns = self.X.shape
        size = f"{write_count(rows, 'row')} of {write_count(columns, 'column')}"
        return f"<{size}, {int(self.y.sum()):,} positive; {self.dropped:,} unresolved dropped>"


@dataclass(frozen=True)
class Label:
    """A label of the dataset: its columns, and the values for which the target is 1."""

    type: str
    value: str
    status: str
    observed: str
    positive: tuple[str, ...]


def find_label(named: str, positive: Sequence[str] | str, columns: Sequence[Column]) -> Label:
    """The label of a type, or of a label's column. ValueError for a label, or a value, that there is not."""
    have = {column.name for column in columns if column.role == "label"}
    types = sorted(name for name in VOCABULARY if name_label_columns(name)[0] in have)
    wanted = named.removeprefix(name_label_columns("")[0])
    if wanted not in types:
        raise ValueError(f"this dataset has no label {named!r}{_name_near(wanted, types)}")
    value, status, _, observed, _ = name_label_columns(wanted)
    values = (positive,) if isinstance(positive, str) else tuple(positive)
    if not values:
        raise ValueError(f"positive names no value; {wanted} has {', '.join(VOCABULARY[wanted])}")
    for one in values:
        if one not in VOCABULARY[wanted]:
            raise ValueError(f"{wanted} never has the value {one!r}{_name_near(one, VOCABULARY[wanted])}")
    return Label(wanted, value, status, observed, values)


def _name_near(wanted: object, known: Sequence[str]) -> str:
    if not known:
        return ": it was built without labels"
    meant = find_nearest(str(wanted), known, 0.6)
    return f"; it has {', '.join(known)}{f': was {meant} meant?' if meant else ''}"


def join_labelled(
    parts: Sequence[pa.Table], names: Sequence[str], label: Label, known_until: int | None, weights: Sequence[str]
) -> LabelledRows:
    """The resolved rows of all parts. known_until: as `Dataset` has it. Says, as a log record, how many rows are left out."""
    kept = [part.filter(_find_resolved(part, label, known_until)) for part in parts]
    rows = pa.concat_tables(kept)
    dropped = sum(part.num_rows for part in parts) - rows.num_rows
    if dropped:
        late = f", or observed at {format_instant(known_until)} or later" if known_until is not None else ""
        share = f"{dropped:,} of {write_count(dropped + rows.num_rows, 'row')}"
        LOGGER.warning("%s left out: the label %s is unresolved%s", share, label.type, late)
    pandas = import_library("pandas")
    is_positive = pc.is_in(rows.column(label.value), value_set=pa.array(label.positive, pa.string()))
    y = pandas.Series(is_positive.cast(pa.int8()).to_numpy(), name=label.type, dtype="int8")
    weighed = [to_model_input(rows.select([name]))[name] for name in weights]
    return LabelledRows(to_model_input(rows.select(list(names))), y, dropped, weighed[0] if weighed else None)


def _find_resolved(part: pa.Table, label: Label, known_until: int | None) -> pa.ChunkedArray:
    """One boolean a row: the label is resolved, and was known in time."""
    resolved = pc.equal(part.column(label.status), Status.RESOLVED.value)
    if known_until is None:
        return resolved
    in_time = pc.less(part.column(label.observed).cast(pa.int64()), known_until)
    return pc.and_(resolved, pc.fill_null(in_time, False))
