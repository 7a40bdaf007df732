"""Damage done to a written world behind its documents' backs, each with the code that must name it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.worlds.model import digest
from tests.worlds.writer import Written


def flip_byte(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def rewrite(path: Path, change: Callable[[dict[str, Any]], object], redigest: bool) -> None:
    """Changes a JSON document in place; `redigest` makes its own digest fit again."""
    document = json.loads(path.read_text())
    change(document)
    if redigest:
        document["digest"] = digest({k: v for k, v in document.items() if k != "digest"})
    path.write_text(json.dumps(document))


def swap(first: Path, second: Path) -> None:
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def extract_part(w: Written) -> Path:
    return w.label_extract.with_name("part-0000.parquet")


def one_file_twice(index: dict[str, Any]) -> None:
    index["segments"].append(index["segments"][0])


def one_row_more(extract: dict[str, Any]) -> None:
    extract["row_count"] += 1


SABOTAGES: dict[str, tuple[Callable[[Written], None], str]] = {
    "segment_byte_flipped": (lambda w: flip_byte(w.segments[0]), "ARCHIVE_SEGMENT_CORRUPT"),
    "segment_truncated": (lambda w: truncate(w.segments[0]), "ARCHIVE_SEGMENT_CORRUPT"),
    "segment_empty": (lambda w: empty(w.segments[-1]), "ARCHIVE_SEGMENT_CORRUPT"),
    "segment_missing": (lambda w: remove(w.segments[-1]), "ARCHIVE_SEGMENT_CORRUPT"),
    "segments_swapped": (lambda w: swap(w.segments[0], w.segments[-1]), "ARCHIVE_SEGMENT_CORRUPT"),
    "index_missing": (lambda w: remove(w.index), "ARCHIVE_INDEX_MISSING"),
    "index_edited": (lambda w: rewrite(w.index, lambda d: d["segments"].pop(), False), "ARCHIVE_INDEX_INVALID"),
    "file_listed_twice": (lambda w: rewrite(w.index, one_file_twice, True), "ARCHIVE_INDEX_INVALID"),
    "segment_unlisted": (lambda w: rewrite(w.index, lambda d: d["segments"].pop(), True), "REPLAY_BASIS_GAP"),
    "extract_missing": (lambda w: remove(w.label_extract), "LABEL_STORE_UNAVAILABLE"),
    "extract_part_missing": (lambda w: remove(extract_part(w)), "LABEL_STORE_UNAVAILABLE"),
    "extract_part_flipped": (lambda w: flip_byte(extract_part(w)), "LABEL_STORE_UNAVAILABLE"),
    "extract_miscounted": (lambda w: rewrite(w.label_extract, one_row_more, True), "LABEL_STORE_UNAVAILABLE"),
    "run_facts_missing": (lambda w: remove(w.run_facts), "RUN_FACTS_UNAVAILABLE"),
    "profile_missing": (lambda w: remove(w.profile), "FEATURE_PROFILE_UNRESOLVED"),
}
"""Name → (damage, code); for worlds of two or more dense segments whose basis is all of them."""
