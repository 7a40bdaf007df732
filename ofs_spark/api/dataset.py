"""A loaded dataset: its rows in four libraries, its columns by role, its parts by time, and what a model learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from ofs_spark.api import page
from ofs_spark.api.labelled import Label, LabelledRows, find_label, join_labelled
from ofs_spark.api.libraries import import_library, to_pandas
from ofs_spark.api.times import read_gap, read_instant, require_rows
from ofs_spark.publish.rows import WHOLE, Period
from ofs_spark.workflow.load import LoadedDataset

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from ofs_spark.io.spark_rows import DataFrame, SparkSession

WEIGHT = "sample_weight"
"""The column of role `split` that says how many rows a row of a sampled dataset stands for."""


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """A published dataset whose every byte is what its manifest states, or the part of it inside a period.

    Rows stand in the order of the stored table, the same each time. Nothing here changes: a part is another Dataset.
    """

    _loaded: LoadedDataset
    _period: Period = WHOLE
    _known_until: int | None = None
    """µs; a label that was observed then or later counts as unresolved. None: every label counts."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The DatasetManifest, as it stands in the store."""
        return self._loaded.manifest

    @property
    def manifest_ref(self) -> str:
        """Where the manifest stands, relative to the object root."""
        return self._loaded.ref

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column, in dataset order."""
        return tuple(column.name for column in self._loaded.columns)

    @property
    def features(self) -> tuple[str, ...]:
        """The columns of role `feature`."""
        return self._list_role("feature")

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of role `label`: value, status, times and assertion of each label type."""
        return self._list_role("label")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of role `identity`: run, event, kept keys, type and time of a row."""
        return self._list_role("identity")

    @property
    def anchor(self) -> tuple[str, ...]:
        """The columns of role `anchor`: the row's own values, which the profile names."""
        return self._list_role("anchor")

    @property
    def weights(self) -> tuple[str, ...]:
        """The column `sample_weight` of a sampled dataset; none of any other."""
        return tuple(name for name in self._list_role("split") if name == WEIGHT)

    def __len__(self) -> int:
        """How many rows there are."""
        if self._period == WHOLE:
            return int(self.manifest["materialization"]["row_count"])
        return sum(part.num_rows for part in self._loaded.read(self._period))

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table; also what DuckDB reads by the name of the variable that holds it."""
        return pa.concat_tables(self._loaded.read(self._period))

    def pandas(self) -> pd.DataFrame:
        """All rows as a pandas frame. Integers and booleans are of pandas' nullable types, so that none is rounded."""
        return to_pandas(self.arrow())

    def polars(self) -> pl.DataFrame:
        """All rows as a Polars frame. ImportError, saying what to install, where there is no Polars."""
        frame: pl.DataFrame = import_library("polars").from_arrow(self.arrow())
        return frame

    def spark(self, session: SparkSession) -> DataFrame:
        """All rows as a frame of the session, in any order. Its workers read the files, and prove each as they read it.

        The session's workers must have this package. Nothing goes through the driver, and nothing is kept: cache the frame
        where it is used more than once.
        """
        from ofs_spark.io.spark_rows import open_frame  # loads pyspark

        return open_frame(session, self._loaded, self._period)

    def X_y(self, label: str, positive: Sequence[str] | str, anchor: bool = False) -> LabelledRows:  # noqa: N802  # fixed
        """Features and target of the rows whose label is resolved: `X, y = dataset.X_y(…)`; `.dropped` counts the others.

        Args:
            label: the label type, such as `fraud_disposition`, or its column.
            positive: the values for which y is 1; for any other value it is 0.
            anchor: X has the anchor columns, too, after the features.

        Raises:
            ValueError: no such label, or a value that this label never has; the message names what there is.
            ImportError: there is no pandas.
        """
        found = find_label(label, positive, self._loaded.columns)
        names = (*self.features, *(self.anchor if anchor else ()))
        parts = (self._cut(part, names, found) for part in self._loaded.read(self._period))
        return join_labelled(list(parts), names, found, self._known_until, self.weights)

    def split(self, train_until: str | datetime, gap: str | timedelta = timedelta(0), purge: bool = False) -> Split:
        """The rows before an instant, and those from a gap after it on: `train, test = dataset.split(…)`.

        train has the rows with ts_utc < train_until, test those with ts_utc ≥ train_until + gap. The rows between are in
        neither; they are `.between`.

        Args:
            train_until: RFC 3339 text in UTC, such as `2026-05-01T00:00:00Z`, or an aware datetime.
            gap: a whole number and s, m, h or d, such as `7d`, or a timedelta: the time that labels take to be known.
            purge: labels of train count only if they were observed before train_until + gap. `X_y` of train drops the
                rows of the others: whoever had trained at that time would not have known them.

        Raises:
            ValueError: no instant, no gap, or a part that can have no row.
        """
        cut = read_instant(train_until)
        start = cut + read_gap(gap)
        require_rows(self._period.clip(self._loaded.find_span()), cut, start)
        limits = [one for one in (self._known_until, start if purge else None) if one is not None]
        train = Dataset(self._loaded, self._period.narrow(until=cut), min(limits, default=None))
        test = Dataset(self._loaded, self._period.narrow(since=start), self._known_until)
        between = Dataset(self._loaded, self._period.narrow(cut, start), self._known_until)
        return Split(train, test, between)

    def __repr__(self) -> str:
        return page.describe_line(self._describe())

    def _repr_html_(self) -> str:
        """What a notebook shows: names and counts, none of the rows' values."""
        return page.describe_html(self._describe())

    def _describe(self) -> page.Facts:
        """Facts of the manifest; of a part its period, for its rows are not counted to be shown."""
        return page.Facts(self.manifest, self._period.since, self._period.until)

    def _list_role(self, role: str) -> tuple[str, ...]:
        return tuple(column.name for column in self._loaded.columns if column.role == role)

    def _cut(self, part: pa.Table, names: Sequence[str], label: Label) -> pa.Table:
        """The columns of a part that a model's input and target are made of."""
        return part.select(list(dict.fromkeys((*names, label.value, label.status, label.observed, *self.weights))))


class _Parts(NamedTuple):
    """Two parts of a dataset."""

    train: Dataset
    test: Dataset


class Split(_Parts):
    """The parts of a split: unpacks into train and test. between: the rows of the gap, which are in neither."""

    between: Dataset

    def __new__(cls, train: Dataset, test: Dataset, between: Dataset) -> Split:
        """The three parts."""
        made = super().__new__(cls, train, test)
        made.between = between
        return made

    def __reduce__(self) -> tuple[type[Split], tuple[Dataset, Dataset, Dataset]]:
        return Split, (self.train, self.test, self.between)
