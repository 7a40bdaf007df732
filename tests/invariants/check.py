"""The checker: every rule over one look at a root and a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake.exceptions import DeltaError

from tests.invariants.chains import judge_links
from tests.invariants.history import History
from tests.invariants.judged import judge_rebuilt, list_documents, name_proven
from tests.invariants.runs import judge_events, judge_gates, judge_last_word, judge_tokens
from tests.invariants.staged import judge_prepared, judge_staged
from tests.invariants.stored import (
    judge_bytes,
    judge_content,
    judge_manifests,
    judge_one_each,
    judge_unfinished,
    name_all,
)
from tests.invariants.told import PUBLISHED, judge_done, judge_reconciliation, judge_told
from tests.invariants.view import EVIDENCE, View, look

INVARIANTS: Mapping[str, str] = {
    "I1": "every manifest is whole, canonical JSON and stands under its own id",
    "I2": "one manifest per plan and per run, one plan per run, one run per request",
    "I3": "every byte that a manifest names is there, and a Delta reader sees exactly its table",
    "I4": "the stored rows come to the content digest of the manifest",
    "I5": "whoever says that a dataset stands is right; a DONE run is told in full",
    "I6": "manifests and evidence never change",
    "I7": "what a manifest names never goes away",
    "I8": "fencing tokens increase, and a DONE run never changes",
    "I9": "events are append-only, a legal chain, one per change, and come to the run's row",
    "I10": "the last rerun answers with the one dataset",
    "I11": "no manifest of an attempt that a gate refused",
    "I12": "no last word says that a run published nothing whose manifest stands",
    "I13": "the reconciliation agrees with the ledger about every run that ended",
    "I14": "an unfinished write is nowhere taken for an object",
    "I17": "one successor per superseded dataset, which its link names",
    "I15": "a pending run has prepared what it would publish, and all that it names stands",
    "I18": "a document of a parity or a forensic run is its run's, all that it names stands, and none of it is to train on",
    "I16": "staged rows are what their names say, and a record of them names none that never stood",
}
"""Name → what always holds. I10 is for the caller, who knows the answer: `find_wrong_answer`."""

Rule = Callable[[View], Iterator[str]]


def _judge_frozen(view: View) -> Iterator[str]:
    """I6."""
    frozen = view.history.frozen
    for ref, sha256 in frozen.items():
        found = view.sha256(ref)
        if found is None and ref in view.history.named:
            continue  # I7 tells it
        if found != sha256:
            yield f"{ref} had sha256 {sha256}; there is {found or 'nothing'}"
    kept = view.below(
        "ofs/manifests", "ofs/backfill_intent", "ofs/parity", "ofs/forensic", *(f"ofs/{kind}" for kind in EVIDENCE)
    )
    now = {ref: view.sha256(ref) for ref in kept if ref not in frozen and not ref.endswith(".v0.json")}
    frozen |= {ref: sha256 for ref, sha256 in now.items() if sha256 is not None}


def _judge_named(view: View) -> Iterator[str]:
    """I7."""
    named = view.history.named
    yield from (f"{ref}, which {by} names, is gone" for ref, by in named.items() if ref not in view.objects)
    for manifest in view.manifests:
        named |= {ref: manifest for ref in name_all(view, manifest) if ref in view.objects}
    for document, found in list_documents(view).items():
        named |= {ref: document for ref in name_proven(found) if ref in view.objects}


ALWAYS: tuple[tuple[str, Rule], ...] = (
    ("I1", judge_manifests),
    ("I2", judge_one_each),
    ("I3", judge_bytes),
    ("I4", judge_content),
    ("I5", judge_done),
    ("I6", _judge_frozen),
    ("I7", _judge_named),
    ("I8", judge_tokens),
    ("I9", judge_events),
    ("I11", judge_gates),
    ("I12", judge_last_word),
    ("I14", judge_unfinished),
    ("I17", judge_links),
    ("I15", judge_prepared),
    ("I16", judge_staged),
    ("I18", judge_rebuilt),
)
SETTLED: tuple[tuple[str, Rule], ...] = (("I5", judge_told), ("I13", judge_reconciliation))


def find_violations(root: Path, ledger: Path, history: History | None = None, *, settled: bool = True) -> list[str]:
    """What of INVARIANTS does not hold, each text led by its name; none for a root and a ledger that are whole.

    root: the object root; ledger: the SQLite file, which need not exist. history: of this schedule; without one, what
    needs two looks is not judged. settled: every driver has ended in order, or its request was run again since: only
    then must all be written that follows from a commit. Reads only.
    """
    history = History() if history is None else history
    try:
        view = look(root, ledger, history)
    except sqlite3.DatabaseError as unreadable:
        return [f"I9 {INVARIANTS['I9']}: the ledger cannot be read: {unreadable}"]
    rules = (*ALWAYS, *(SETTLED if settled else ()))
    found = [f"{name} {INVARIANTS[name]}: {text}" for name, rule in rules for text in _judge(rule, view)]
    history.runs, history.events = view.runs, view.events
    return found


def find_wrong_answer(answer: Mapping[str, Any], content_digest: str) -> list[str]:
    """I10: what is wrong with the answer of a final rerun, whose dataset must come to `content_digest`."""
    found = (answer.get("outcome"), answer.get("content_digest"))
    if found[0] in PUBLISHED and found[1] == content_digest:
        return []
    return [f"I10 {INVARIANTS['I10']}: it answers {found} ({answer.get('code')}); {content_digest} is expected"]


def _judge(rule: Rule, view: View) -> Iterator[str]:
    """What a rule finds; that it cannot judge what stands is a finding too."""
    try:
        yield from rule(view)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OSError, DeltaError, pa.ArrowException) as odd:
        yield f"cannot be judged: {type(odd).__name__}: {odd}"
