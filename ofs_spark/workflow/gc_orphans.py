"""What `ofs gc` may ever take away, and when: a listing sorted into candidates, each judged. Asks nothing of the outside.

Whatever is of no kind below is never taken away: manifests and their views, evidence, receipts, facts, links, and what
no release of OFS wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ofs_spark.foundation.clock import SECOND_US
from ofs_spark.foundation.policy import Policy
from ofs_spark.foundation.ports import UNFINISHED, Listed
from ofs_spark.foundation.refs import OwnedRef, own_ref
from ofs_spark.intent.run import HOUR_S

HOUR_US = HOUR_S * SECOND_US
SKEW_US = HOUR_US
"""What the clocks of drivers, of the store and of this process may differ by; and how long a driver may stand still between
its last look at the ledger and the manifest's put."""
UNPUBLISHED_GRACES = 7
"""How many times longer staged rows are kept whose plan has no dataset: the next attempt may begin with them."""
_ATTEMPT = re.compile(r"attempt-([0-9]+)-[0-9a-f]{12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE_LIST = re.compile(r"[0-9a-f]{64}\.parquet")


class Kind(StrEnum):
    """Kinds of candidates, in the order in which they are taken away."""

    PREPARED = "prepared_manifest"
    TABLE = "table"
    STAGED_ROWS = "staged_rows"
    FILE_LIST = "file_list"
    UNFINISHED = "unfinished"


ORPHANED: Mapping[Kind, str] = {
    Kind.PREPARED: "its dataset is published",
    Kind.TABLE: "no manifest names it, and its attempt may no longer commit",
    Kind.STAGED_ROWS: "no attempt that may still commit reads it",
    Kind.FILE_LIST: "no manifest names it, and no attempt that may still commit wrote it",
    Kind.UNFINISHED: "its writer died before it was whole",
}
"""Why a candidate of each kind is an orphan, for people."""


class Kept(StrEnum):
    """Why a candidate is no orphan."""

    REFERENCED = "referenced"
    RUNNING = "running"
    PENDING = "pending"
    UNPUBLISHED = "unpublished"
    YOUNG = "young"


@dataclass(frozen=True)
class Candidate:
    """One object, or all objects below one folder.

    token: of the claim whose attempt it is, None where any attempt may use it. subject: the dataset of a table, the plan
    of staged rows, "" for others. youngest: when it was written last, µs by the store's clock.
    """

    kind: Kind
    ref: OwnedRef
    token: int | None
    subject: str
    objects: int = 0
    bytes: int = 0
    youngest: int = 0

    def is_folder(self) -> bool:
        """Whether it is all that stands below its ref."""
        return self.kind in (Kind.TABLE, Kind.STAGED_ROWS)

    def has(self, ref: str) -> bool:
        """Whether the object at a ref is part of it."""
        return ref.startswith(f"{self.ref}/") if self.is_folder() else ref == self.ref


@dataclass
class Roots:
    """What must stay, of one platform run. It only grows while a gc is at work.

    named: every ref that a manifest or a prepared manifest names, and the folders above each; prepared: ref of a prepared
    manifest → the dataset that it prepares; datasets, plans: published ones; live: tokens of claims that may commit.
    """

    named: set[str] = field(default_factory=set)
    above: set[str] = field(default_factory=set)
    prepared: dict[str, str] = field(default_factory=dict)
    datasets: set[str] = field(default_factory=set)
    plans: set[str] = field(default_factory=set)
    live: set[int] = field(default_factory=set)

    def add_document(self, document: Any, home: str) -> None:
        """Every text of a document that names something below the folder `home`, as a ref or as a full address: what a
        later contract names counts too."""
        for text in _find_texts(document):
            _, found, below = text.partition(f"{home}/")
            if found:
                self.named.add(found + below)
                self.above.update(_list_folders(found + below))

    def names(self, ref: str) -> bool:
        """Whether the ref, something below it, or a folder above it is named."""
        return ref in self.named or ref in self.above or not self.named.isdisjoint(_list_folders(ref))


@dataclass(frozen=True)
class Terms:
    """What ages are judged by. now, grace: µs."""

    now: int
    grace: int

    def measure_age(self, candidate: Candidate) -> int:
        """µs since something of the candidate was written last."""
        return self.now - candidate.youngest


def find_least_grace(policy: Policy) -> int:
    """The shortest grace (µs) after which no attempt may still commit: the run limit, a lease, and what clocks differ by."""
    return policy.run_limit_hours * HOUR_US + policy.lease_seconds * SECOND_US + SKEW_US


def find_candidates(platform_run_id: str, listed: Iterable[Listed]) -> list[Candidate]:
    """The candidates among the objects that stand below `…/ofs/`, in the order in which they are taken away.

    What is unfinished in an attempt's folder is a candidate of its own, and makes the folder as young as it is.
    """
    found: dict[str, Candidate] = {}
    for one in listed:
        for kind, ref, token, subject in _recognise(platform_run_id, one.ref):
            seen = found.get(ref) or Candidate(kind, own_ref(ref), token, subject)
            counts = kind is Kind.UNFINISHED or not is_unfinished(one.ref)
            found[ref] = replace(
                seen,
                objects=seen.objects + counts,
                bytes=seen.bytes + counts * one.bytes,
                youngest=max(seen.youngest, one.modified),
            )
    order = list(Kind)
    whole = (one for one in found.values() if one.objects)
    return sorted(whole, key=lambda one: (order.index(one.kind), one.ref))


def judge(candidate: Candidate, roots: Roots, terms: Terms) -> Kept | None:
    """Why a candidate stays; None for an orphan."""
    kind, age = candidate.kind, terms.measure_age(candidate)
    if kind is Kind.PREPARED:
        if roots.prepared.get(candidate.ref) not in roots.datasets:
            return Kept.PENDING
    elif roots.names(candidate.ref) and kind is not Kind.UNFINISHED:
        return Kept.REFERENCED
    if roots.live if candidate.token is None else candidate.token in roots.live:
        return Kept.RUNNING
    if age <= terms.grace:
        return Kept.YOUNG
    is_unpublished = kind is Kind.STAGED_ROWS and candidate.subject not in roots.plans
    if is_unpublished and age <= UNPUBLISHED_GRACES * terms.grace:
        return Kept.UNPUBLISHED
    return None


def order_removals(listed: Iterable[Listed]) -> list[Listed]:
    """The objects of a candidate as they are taken away: what says that the others are there goes first.

    A table without a log is no table, and rows without their record are rows that nobody looks for.
    """
    return sorted(listed, key=lambda one: (not ("/_delta_log/" in one.ref or one.ref.endswith(".json")), one.ref))


def is_unfinished(ref: str) -> bool:
    """Whether an object is half of one, which nobody reads."""
    return ref.rsplit("/", 1)[-1].startswith(UNFINISHED)


def _recognise(platform_run_id: str, ref: str) -> Iterable[tuple[Kind, str, int | None, str]]:
    """What an object is part of: (kind, the candidate's ref, token, subject)."""
    if is_unfinished(ref):
        yield Kind.UNFINISHED, ref, None, ""
    run_id, _, folder, *parts = ref.split("/")
    if run_id != platform_run_id:
        return
    if folder == "datasets" and len(parts) > 2 and (attempt := _ATTEMPT.fullmatch(parts[1])):
        yield Kind.TABLE, _cut(ref, 5), int(attempt[1]), parts[0]
    elif folder == "staging" and len(parts) > 1 and _DIGEST.fullmatch(parts[0]):
        attempt = _ATTEMPT.fullmatch(parts[1]) if len(parts) > 2 else None
        yield Kind.STAGED_ROWS, _cut(ref, 5 if attempt else 4), int(attempt[1]) if attempt else None, parts[0]
    elif is_unfinished(ref):
        return
    elif folder == "files" and len(parts) == 1 and _FILE_LIST.fullmatch(parts[0]):
        yield Kind.FILE_LIST, ref, None, ""
    elif folder == "publish_pending" and len(parts) == 1:
        yield Kind.PREPARED, ref, None, ""


def _cut(ref: str, parts: int) -> str:
    return "/".join(ref.split("/")[:parts])


def _list_folders(ref: str) -> list[str]:
    """The folders above a ref."""
    parts = ref.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _find_texts(value: Any) -> Iterable[str]:
    """Every text of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _find_texts(one)
