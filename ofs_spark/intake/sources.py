"""Files that are imported: JSON lines, CSV and Parquet, told by their names; what they lack is told before anything is written."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pyarrow as pa

from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.errors import show_text
from ofs_spark.foundation.files import read_file_tail
from ofs_spark.intake import parquet_rows
from ofs_spark.intake.csv_rows import COMMAS, SEPARATORS, Separator, read_csv, read_header
from ofs_spark.intake.declared import name_nearest, show_name
from ofs_spark.intake.json_rows import HEAD, read_json_lines, read_members
from ofs_spark.intake.rows import Blocks

Format = Literal["csv", "json", "parquet"]
SUFFIXES: Mapping[str, Format] = {
    ".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
"""Suffix → format; `.gz` may follow those of text."""
_MARKS: Mapping[bytes, str] = {
    b"PAR1": "is a Parquet file: its name must end in .parquet or .pq",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet: write what it holds as CSV",
    b"\x1f\x8b": "is compressed: its name must end in .gz, after the suffix of its text",
}
"""How a file begins that is no text → what it is, and what helps."""


@dataclass(frozen=True)
class Source:
    """A file whose columns are known."""

    path: Path
    format: Format
    columns: tuple[str, ...]
    separator: Separator = COMMAS

    def read(self, columns: Sequence[str] = ()) -> Blocks:
        """Its rows. columns: those that are needed, none for all. WrongArgument where it cannot be read to its end."""
        with _tell_unreadable(self.path):
            if self.format == "parquet":
                yield from parquet_rows.read_parquet(parquet_rows.open_parquet(self.path), columns or self.columns)
                return
            with _open_text(self.path) as file:
                is_csv = self.format == "csv"
                yield from read_csv(file, self.columns, self.separator.mark) if is_csv else read_json_lines(file)


def open_source(path: Path, named: Mapping[str, str], times: Sequence[str], separator: Separator = COMMAS) -> Source:
    """The file at `path`. WrongArgument, telling the nearest name, where it lacks a column.

    named: column → the option that names it. times: the columns among them that hold instants. separator: of CSV.
    """
    with _tell_unreadable(path):
        _require_file(path)
        kind = find_format(path)
        columns = _list_columns(path, kind, separator)
    if kind == "csv" and columns[0].startswith("sep="):
        raise WrongArgument(
            f"{path}: its first line is a spreadsheet's mark of a separator, and no header: remove that line"
        )
    doubled = next((name for name, count in Counter(columns).items() if count > 1), None)
    if doubled is not None:
        places = [str(place) for place, name in enumerate(columns, start=1) if name == doubled]
        raise WrongArgument(
            f"{path}: column {show_name(doubled)} stands there twice: columns {' and '.join(places[:2])}"
        )
    _require_columns(path, kind, columns, named, separator.option)
    if kind == "parquet":
        file = parquet_rows.open_parquet(path)
        for name in times:
            parquet_rows.require_instants(file, path, name)
    return Source(path, kind, tuple(columns), separator)


def _require_columns(path: Path, kind: Format, columns: Sequence[str], named: Mapping[str, str], option: str) -> None:
    """WrongArgument that tells every named column that is not there. option: states the separator."""
    lacking = [name for name in named if name not in columns]
    if not lacking:
        return
    mark = next((word for word, mark in SEPARATORS.items() if len(columns) == 1 and mark in columns[0]), "")
    if kind == "csv" and mark:
        message = f"{path}: its first line is one column, {show_text(columns[0])}: {option} {mark} reads it as several"
        raise WrongArgument(message)
    where = f" among the members of its first {HEAD:,} lines" if kind == "json" else ""
    said = (f"{named[name]} {show_name(name)}: {name_nearest(name, columns, 'column')}" for name in lacking)
    raise WrongArgument(f"{'; '.join(said)} in {path}{where}")


def _require_file(path: Path) -> None:
    """Looks whether a regular file stands there; a pipe or a folder is never opened."""
    try:
        read_file_tail(path, 0)
    except ValueError:  # no file can have this name
        raise WrongArgument(f"{show_text(str(path))} is no name of a file") from None


def find_format(path: Path) -> Format:
    """The format that a file's name tells. WrongArgument for a name that tells none."""
    name = path.name.lower()
    bare = name.removesuffix(".gz")
    found = next((kind for suffix, kind in SUFFIXES.items() if bare.endswith(suffix)), None)
    if found is None or (found == "parquet" and bare != name):
        listed = ", ".join(SUFFIXES)
        hint = "; values between tabs are .csv, and --separator tab" if bare.endswith((".tsv", ".tab")) else ""
        raise WrongArgument(
            f"{path}: its name ends in none of {listed}, or of these with .gz where they are text{hint}"
        )
    return found


def _list_columns(path: Path, kind: Format, separator: Separator) -> list[str]:
    if kind == "parquet":
        return list(parquet_rows.open_parquet(path).schema_arrow.names)
    with _open_text(path) as file:
        start = file.read(4)
        for mark, is_other in _MARKS.items():
            if start.startswith(mark):
                raise WrongArgument(f"{path} {is_other}")
        if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in start:
            raise WrongArgument(f"{path} is UTF-16 or no text: UTF-8 is required")
        if not start:
            raise WrongArgument(f"{path} is empty")
    with _open_text(path) as file:
        return read_header(file, str(path), separator.mark) if kind == "csv" else read_members(file, str(path))


@contextmanager
def _open_text(path: Path) -> Iterator[BinaryIO]:
    with cast(BinaryIO, gzip.open(path, "rb")) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        yield file


@contextmanager
def _tell_unreadable(path: Path) -> Iterator[None]:
    """WrongArgument for what the system, or the file's own compression, does not give."""
    try:
        yield
    except (pa.ArrowException, EOFError, zlib.error) as error:
        raise WrongArgument(f"cannot read {path}: {str(error)[:200]}") from None
    except OSError as error:
        raise WrongArgument(f"cannot read {path}: {error.strerror or str(error)[:200]}") from None
