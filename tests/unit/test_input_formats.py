"""The page on input formats says what the code reads."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.labels.extract_file import OPTIONAL, TEXTS, TIMES
from ofs_spark.labels.terms import VOCABULARY
from ofs_spark.replay.scan.archive import COLUMNS, ORIGIN, ORIGIN_FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "input-formats.md").read_text(encoding="utf-8")


def read_table(section: str, heading: str = "column") -> list[list[str]]:
    """The rows of the section's table whose first heading that is."""
    _, _, rest = PAGE.partition(f"## {section}\n")
    table = rest.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]


def read_names(section: str) -> set[str]:
    return {row[0].strip("`") for row in read_table(section)}


def test_the_archive_has_the_columns_that_the_page_lists() -> None:
    assert read_names("The archive: Parquet segments") == {*COLUMNS, ORIGIN}
    assert all(f"`{name}`" in PAGE for name in ORIGIN_FIELDS)


def test_the_extract_has_the_columns_that_the_page_lists() -> None:
    rows = {row[0].strip("`"): row[1:] for row in read_table("Labels: the extract")}
    assert set(rows) == {*TEXTS, *TIMES}
    assert {name for name, (kind, _) in rows.items() if kind == "time"} == set(TIMES)
    assert {name for name, (_, meaning) in rows.items() if "may be absent" in meaning} == set(OPTIONAL)


def test_the_vocabulary_is_the_one_that_is_read() -> None:
    found = {
        kind.strip("`"): tuple(re.findall(r"`(\w+)`", values))
        for kind, values in read_table("Labels: the extract", "label type")
    }
    assert found == dict(VOCABULARY)


def test_the_digests_of_the_page_are_those_of_its_documents() -> None:
    extract, envelope = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    stated = re.findall(r"`([0-9a-f]{64})`", PAGE)
    assert stated == [digest(json.loads(extract)), sha256(envelope.encode()).hexdigest()]
    assert encode_canonical(json.loads(envelope)) == envelope.encode()
