"""`ofs import`: somebody's own events and labels become an object root, a wiring, a starter profile and an intent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ofs_spark.foundation.canonical import digest
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.ports import Announce
from ofs_spark.foundation.refs import name_profile, name_segment_index
from ofs_spark.foundation.strict_yaml import parse_yaml
from ofs_spark.foundation.wiring import parse_wiring
from ofs_spark.foundation.wording import write_count
from ofs_spark.intake import folder as f
from ofs_spark.intake import world as w
from ofs_spark.intake.declared import Declared, EventColumns, LabelColumns
from ofs_spark.intake.events import judge_events
from ofs_spark.intake.labels import LabelFiles, judge_labels
from ofs_spark.intake.numbers import NumberColumns
from ofs_spark.intake.rejected import Rejected
from ofs_spark.intake.rows import NO_VALUE, UNMAPPED
from ofs_spark.intake.segments import write_segments
from ofs_spark.intake.sources import Source, open_source
from ofs_spark.intake.spool import Spool
from ofs_spark.intake.starter import SET_ID, SET_VERSION, compose_starter
from ofs_spark.io.adapters import require_root, serve_wiring
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.labels.terms import VOCABULARY
from ofs_spark.pins.profile.compile import read_profile

STEP = 1_000_000
"""Rows between two words on progress."""
UNKNOWN_ARRIVAL = (
    "arrival times are unknown: features see every event up to the anchor in event time, as if each had been known when it "
    "happened (knowledge: event_time); a model may train on what production had not yet been told"
)
WIRING_HEAD = (
    "# Where things are: this folder is the object root. Paths are relative to this file. Written by `ofs import`.\n"
)


@dataclass(frozen=True)
class _Imported:
    """What stands after the events and labels were written. asof_us: up to when labels are known."""

    run: w.Run
    index_digest: str
    extract_digest: str
    basis: list[dict[str, Any]]
    asof_us: int
    labels: LabelFiles


@dataclass(frozen=True)
class Beside:
    """What stands in a folder besides an import's own, by path; a profile in the starter's place; what heads the wiring."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    profile: str = ""
    wiring_head: str = WIRING_HEAD


NOTHING = Beside()


def import_own_data(
    declared: Declared, folder: Path, releases: Mapping[str, str], announce: Announce, beside: Beside = NOTHING
) -> dict[str, Any]:
    """Writes the folder; the answer. releases: the revisions that its intent states.

    WrongArgument, and nothing written, for a folder that is not the import's own, a file that cannot be read or lacks a
    column, and for events of which none can be taken.
    """
    columns = declared.events
    events = open_source(columns.file, columns.named, _list_times(columns), columns.separator)
    labels = None if declared.labels is None else _open_labels(declared.labels)
    with f.write_whole(folder) as aside:
        _require_place(folder)
        with (folder / f.REJECTED).open("w", encoding="ascii", newline="\n") as file:
            rejected = Rejected(file)
            numbers = NumberColumns(set(declared.events.named))
            spool = _spool_events(events, declared.events, aside, (numbers, rejected), announce)
            imported = _write_objects(folder, declared, spool, labels, rejected, announce)
        _write_facts(folder, imported, declared)
        ids = (declared.events.id,) if declared.events.id else declared.events.id_from
        profile = beside.profile or compose_starter(declared.events.keys, ids, numbers.found, _name_knowledge(declared))
        for name, body in beside.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(body)
        _write_documents(folder, imported, replace(beside, profile=profile), declared.labels, releases)
    announce(
        "import", f"wrote {folder}: {write_count(spool.count, 'event')}, {write_count(imported.labels.count, 'label')}"
    )
    notes = [*_list_notes(declared, imported.labels, rejected), *([] if beside.profile else numbers.describe_odd())]
    return _compose_answer(folder, declared, imported, spool.count, rejected, notes)


def _list_times(columns: EventColumns) -> list[str]:
    return [name for name in (columns.time, columns.delivered.arrival) if name]


def _open_labels(columns: LabelColumns) -> Source:
    times = [name for name in (columns.observed, columns.effective) if name]
    return open_source(columns.file, columns.named, times, columns.separator)


def _require_place(folder: Path) -> None:
    """Refuses a folder in which no build could ever write its tables, as a build would."""
    file = folder / f.WIRING
    text = w.compose_wiring(".", "x", {})
    require_root(serve_wiring(parse_wiring(parse_yaml(text.encode()), file)))


def _spool_events(
    source: Source,
    columns: EventColumns,
    aside: Path,
    shown: tuple[NumberColumns, Rejected],
    announce: Announce,
) -> Spool:
    """Every event of the file, judged. shown: what is shown the rows that are taken, and those that are not.

    WrongArgument where none is taken.
    """
    announce("import", f"reads {source.path.name}")
    numbers, rejected = shown
    rejected.begin(source.path)
    spool, told = Spool(aside / "events.arrow", columns.delivered), 0
    for block, malformed in source.read():
        events, bad = judge_events(block, columns, numbers) if block.lines else (None, [])
        rejected.add(sorted([*malformed, *bad], key=lambda one: one.line))
        if events is not None:
            spool.add(events)
        if spool.count // STEP > told:
            told = spool.count // STEP
            announce("import", f"read {write_count(spool.count, 'event')}, rejected {rejected.total:,}")
    spool.close()
    if not spool.count:
        found = rejected.describe() if rejected.total else "no row"
        raise WrongArgument(f"{source.path} has no event that can be taken: {found}")
    return spool


def _write_objects(
    root: Path, declared: Declared, spool: Spool, labels: Source | None, rejected: Rejected, announce: Announce
) -> _Imported:
    """Segments, index and label extract."""
    run = name_run(spool.latest, declared.digest)
    told = 0

    def tell(written: int) -> None:
        """Says how far it is."""
        nonlocal told
        if written // STEP > told:
            told = written // STEP
            announce("import", f"wrote {written:,} of {write_count(spool.count, 'event')}")

    announce("import", f"writes {write_count(spool.count, 'event')} of {run.platform_run_id}")
    segments = write_segments(root, run, spool, tell)
    index_digest = w.write_index(root, run, segments)
    kind = declared.labels.type if declared.labels else "fraud_disposition"
    files = LabelFiles(root, run, kind, spool.find_unknown)
    if labels is not None and declared.labels is not None:
        announce("import", f"reads {labels.path.name}")
        rejected.begin(labels.path)
        for block, malformed in labels.read(list(declared.labels.named)):
            judged, bad = judge_labels(block, declared.labels) if block.lines else (None, [])
            rejected.add(sorted([*malformed, *bad], key=lambda one: one.line))
            if judged is not None:
                files.add(judged)
    asof = spool.latest if files.latest is None else files.latest
    stored = files.close()
    extract_digest = w.write_extract(root, run, "ofs-import", format_instant(asof), asof, stored)
    return _Imported(run, index_digest, extract_digest, w.list_basis(segments), asof, files)


def name_run(latest_us: int, declared_digest: str) -> w.Run:
    """The platform run of an import: named by the greatest event time, its pins by what was declared of the columns."""
    second = format_instant(latest_us)[:19].replace("-", "").replace(":", "")
    named = f"platform_{second}Z"
    scenario = digest({"recipe": "ofs.import.scenario_run.v1", "platform_run_id": named, "declared": declared_digest})
    return w.Run(named, scenario[:32], "ofs_import", 0, declared_digest, declared_digest)


def _write_facts(root: Path, imported: _Imported, declared: Declared) -> None:
    """Run facts whose gate is the import itself: it judged every row, and the rows it rejected are an output of it."""
    sha256 = w.describe_stored(root, f.REJECTED)["sha256"]
    gate = {"gate_id": "ofs_import", "status": "PASS", "scope": {"manifest_fingerprint": declared.digest}}
    facts = {
        "locators": [w.describe_output(imported.run, "rejected_rows", f.REJECTED, sha256)],
        "gate_receipts": [gate],
        "instance_receipts": [w.describe_receipt(imported.run, "rejected_rows", f.REJECTED, "PASS", sha256)],
        "policy_rev": {"policy_id": "ofs.import", "revision": "v1"},
        "bundle_hash": declared.digest,
    }
    w.write_run_facts(root, imported.run, facts)


def _write_documents(
    root: Path, imported: _Imported, beside: Beside, labels: LabelColumns | None, releases: Mapping[str, str]
) -> None:
    """Profile, then what makes the folder whole: wiring and intent."""
    profiles = root / f.PROFILES
    profiles.mkdir()
    (profiles / name_profile(SET_ID)).write_text(beside.profile, encoding="utf-8")
    compiled = read_profile(LocalObjects.at(profiles), SET_ID, SET_VERSION)
    said = {
        "recipe": "ofs.import.request.v1",
        "index": imported.index_digest,
        "extract": imported.extract_digest,
        "profile": compiled.digest,
        **releases,
    }
    intent = {
        "schema_version": "learning.ofs_build_intent.v0",
        "request_id": f"import.{digest(said)[:24]}",
        "intent_kind": "dataset_build",
        "platform_run_id": imported.run.platform_run_id,
        "scenario_run_ids": [imported.run.scenario_run_id],
        "replay_basis": imported.basis,
        "label_basis": {"label_asof_utc": format_instant(imported.asof_us), "resolution_rule": "ls.resolved.v0"},
        "feature_definition_set": {"feature_set_id": SET_ID, "feature_set_version": SET_VERSION},
        "join_scope": {"label_types": [labels.type] if labels else []},
        "filters": {},
        "run_facts_ref": imported.run.run_facts_ref,
        "non_training_allowed": True,
        **releases,
    }
    wiring = beside.wiring_head + w.compose_wiring(".", imported.run.extract_ref, {})
    (root / f.WIRING).write_text(wiring, encoding="utf-8")
    (root / f.INTENT).write_text(json.dumps(intent, indent=2) + "\n", encoding="utf-8")


def _compose_answer(
    folder: Path,
    declared: Declared,
    imported: _Imported,
    events: int,
    rejected: Rejected,
    notes: list[str],
) -> dict[str, Any]:
    root, labels, arrival = folder.absolute(), imported.labels, declared.events.delivered.arrival
    return {
        "outcome": "IMPORTED",
        "wiring": str(root / f.WIRING),
        "intent": str(root / f.INTENT),
        "profile": str(root / f.PROFILES / name_profile(SET_ID)),
        "platform_run_id": imported.run.platform_run_id,
        "index_ref": name_segment_index(imported.run.platform_run_id),
        "extract_ref": imported.run.extract_ref,
        "events": events,
        "labels": labels.count,
        "labels_of_unknown_events": labels.unknown,
        "label_asof_utc": format_instant(imported.asof_us),
        "arrival": arrival or None,
        "knowledge": _name_knowledge(declared),
        "rejected": rejected.total,
        "rejected_ref": f.REJECTED,
        "rejected_path": str(root / f.REJECTED),
        "reasons": rejected.to_document(),
        "notes": notes,
    }


def _name_knowledge(declared: Declared) -> str:
    return "as_observed" if declared.events.delivered.arrival else "event_time"


def _list_notes(declared: Declared, files: LabelFiles, rejected: Rejected) -> Iterator[str]:
    """What an import does not know, or could not take, in words. rejected: of the labels, where there are some."""
    labels = declared.labels
    if not declared.events.delivered.arrival:
        yield UNKNOWN_ARRIVAL
    if labels is not None and rejected.here and not files.count:
        yield f"no label of {labels.file} is taken: {rejected.describe()}"
    if labels is not None and rejected.has(NO_VALUE, UNMAPPED):
        yield f"--label-map says what values of {labels.value} mean, such as 1={VOCABULARY[labels.type][0]}"
    if files.unknown:
        which = "label is" if files.unknown == 1 else "labels are"
        yield f"{files.unknown:,} {which} about events that are not in {declared.events.file}, and label no row"
