"""A world on disk: an object root exactly as the outside contracts say, and a wiring that points at it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.oracle.exact import Far
from tests.worlds.model import Row, Segment, World, digest, label, linked

COLUMNS = (
    *("archived_at_utc", "platform_run_id", "scenario_run_id", "manifest_fingerprint", "parameter_hash"),
    *("scenario_id", "seed", "event_id", "event_type", "ts_utc", "payload_hash", "origin_offset", "envelope"),
    "published_at_utc",
)
TIMES = ("archived_at_utc", "ts_utc", "published_at_utc")
LABEL_TIMES = ("effective_time", "observed_time", "committed_at_utc")
UTC_TEXT = re.compile(r"[0-9T:.-]{19,26}(Z|\+00:00)")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROS = pa.timestamp("us", tz="UTC")
ORIGIN = pa.struct(
    [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.string()), ("offset_kind", pa.string())]
)


@dataclass(frozen=True)
class Layout:
    """Choices of a writer that must not change any dataset.

    `rows_per_segment` cuts every segment anew; `shuffled` seeds an order of the rows inside each file; `times` is
    "text" or "timestamp" (of worlds whose every time is valid); `omit_published` leaves the column out of worlds that
    publish nothing.
    """

    rows_per_segment: int | None = None
    shuffled: int | None = None
    times: str = "text"
    seed_as_integer: bool = False
    omit_published: bool = False
    label_files: int = 1


@dataclass(frozen=True)
class Written:
    """Where things are: full paths for the command line, refs for documents."""

    root: Path
    wiring: Path
    intent: Path
    index: Path
    segments: tuple[Path, ...]
    label_extract: Path
    run_facts: Path
    profile: Path


def write_world(world: World, root: Path, layout: Layout = Layout()) -> Written:
    """Writes everything the world's intent names; `root` becomes the object root's parent."""
    objects, run = root / "objects", str(world.intent["platform_run_id"])
    index, files = _write_archive(world, objects, run, layout)
    extract = _write_labels(world, objects, run, layout)
    facts = _json(objects / world.intent["run_facts_ref"], world.run_facts)
    for ref, body in world.outputs.items():
        (objects / ref).parent.mkdir(parents=True, exist_ok=True)
        (objects / ref).write_bytes(body)
    intent = _json(objects / run / "intents" / f"{world.intent['request_id']}.json", world.intent)
    profiles = root / "profiles"
    name = world.intent["feature_definition_set"]["feature_set_id"]
    profile = _yaml(profiles / f"{name}.yaml", world.profile)
    wiring = {
        "objects": {"root": str(objects)},
        "ledger": {"dsn": f"sqlite:///{root / 'ledger.sqlite'}"},
        "profiles": {"root": str(profiles)},
        "labels": {"kind": "extract", "ref": str(extract.relative_to(objects))},
        "bus": {"kind": "none"},
    }
    return Written(objects, _yaml(root / "wiring.yaml", wiring), intent, index, files, extract, facts, profile)


def state_engine(wiring: Path, engine: str) -> None:
    """Has a wiring ask for an engine: for worlds as small as these it would be the embedded one, in the process itself."""
    wiring.write_text(yaml.safe_dump({**yaml.safe_load(wiring.read_text()), "engine": engine}))


def _write_archive(world: World, objects: Path, run: str, layout: Layout) -> tuple[Path, tuple[Path, ...]]:
    entries, files = [], []
    segments = linked(world.segments)
    if layout.rows_per_segment:
        segments = [piece for seg in segments for piece in resegmented(seg, layout.rows_per_segment)]
    for number, seg in enumerate(segments):
        folder = f"{run}/archive/segments/topic={seg.topic}/partition={seg.partition}"
        ref = f"{folder}/{number:04d}.parquet"
        path = objects / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_archive_table(seg, layout), path, write_page_checksum=True)
        entries.append(_index_entry(seg, ref, path.read_bytes()))
        files.append(path)
    index: dict[str, Any] = {"schema_version": "archive.segment_index.v0", "platform_run_id": run, "segments": entries}
    return _json(objects / run / "archive" / "segment_index.json", index | {"digest": digest(index)}), tuple(files)


def _index_entry(seg: Segment, ref: str, body: bytes) -> dict[str, Any]:
    before = seg.previous_last_offset
    times = sorted(_moment(row.ts_utc) for row in seg.rows if row.ts_utc and UTC_TEXT.fullmatch(row.ts_utc)) or [EPOCH]
    entry = {
        "topic": seg.topic,
        "partition": seg.partition,
        "offset_kind": seg.offset_kind,
        "first_offset": str(seg.first),
        "last_offset": str(seg.last),
        "record_count": seg.count,
        "previous_last_offset": None if before is None else str(before),
        "gaps": [{"start": str(a), "end": str(b), "reason": "compaction"} for a, b in seg.gaps],
        "path": ref,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "min_ts_utc": _stamp(times[0]),
        "max_ts_utc": _stamp(times[-1]),
    }
    sparse_start = seg.offset_kind == "kinesis_sequence" and before is None
    return entry | ({"shard_start": True} if sparse_start else {})


def resegmented(seg: Segment, size: int) -> list[Segment]:
    """The same rows in files of about `size` positions; copies of a position and both sides of a gap stay together."""
    if (seg.stated_first, seg.stated_last, seg.stated_count) != (None, None, None):
        return [seg]
    pieces: list[list[Row]] = []
    for r in sorted(seg.rows, key=lambda r: r.offset):
        here = pieces[-1] if pieces else []
        step = r.offset - here[-1].offset if here else 0
        cuttable = step > 0 and (step == 1 or seg.offset_kind == "kinesis_sequence")
        if not here or (cuttable and len({x.offset for x in here}) >= size):
            pieces.append(here := [])
        here.append(r)
    before, out = seg.previous_last_offset, []
    for rows in pieces:
        first, last = rows[0].offset, rows[-1].offset
        gaps = tuple(g for g in seg.gaps if first <= g[0] <= last)
        out.append(replace(seg, rows=tuple(rows), gaps=gaps, previous_last_offset=before))
        before = last
    return out


def _archive_table(seg: Segment, layout: Layout) -> pa.Table:
    rows = list(seg.rows)
    if layout.shuffled is not None:
        Random(layout.shuffled).shuffle(rows)
    records = [_record(seg, r) for r in rows]
    names = [c for c in COLUMNS if not (c == "published_at_utc" and layout.omit_published)]
    return pa.table({name: _array(name, [r[name] for r in records], layout) for name in names})


def _record(seg: Segment, r: Row) -> dict[str, Any]:
    origin = {"topic": seg.topic, "partition": seg.partition, "offset": str(r.offset), "offset_kind": seg.offset_kind}
    pins = {"manifest_fingerprint": "c8" * 32, "parameter_hash": "56" * 32, "scenario_id": "baseline_v1", "seed": "42"}
    own = {name: getattr(r, name) for name in COLUMNS if hasattr(r, name)}
    return {**pins, **own, "payload_hash": r.hash, "origin_offset": origin}


def _array(name: str, values: list[Any], layout: Layout) -> pa.Array:
    if name == "origin_offset":
        return pa.array(values, ORIGIN)
    if name in TIMES + LABEL_TIMES and layout.times == "timestamp":
        return pa.array([None if v is None else _moment(v) for v in values], MICROS)
    if name == "seed" and layout.seed_as_integer:
        return pa.array([None if v is None else int(v) for v in values], pa.int64())
    return pa.array(values, pa.string())


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _stamp(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"  # strftime shortens early years


def _write_labels(world: World, objects: Path, run: str, layout: Layout) -> Path:
    folder, names = objects / run / "label_store" / "extract", list(label(0, "", "", ""))
    files, pieces = [], layout.label_files
    for number in range(pieces):
        rows = world.labels[number::pieces]
        table = pa.table({name: _array(name, [r[name] for r in rows], layout) for name in names})
        path = folder / f"part-{number:04d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, write_page_checksum=True)
        body, ref = path.read_bytes(), str(path.relative_to(objects))
        files.append(
            {"path": ref, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "row_count": len(rows)}
        )
    extract = {
        "schema_version": "label_store.extract.v0",
        "label_store_id": "world",
        "marker": world.label_marker,
        "committed_up_to_utc": world.label_committed_up_to_utc,
        "row_count": len(world.labels),
        "files": files,
    }
    return _json(folder / "label_extract.json", extract | {"digest": digest(extract)})


def _json(path: Path, document: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=True), encoding="utf-8")
    return path


class _Quoting(yaml.SafeDumper):
    """Quotes every text but plain words, so that no YAML reader takes one for a number or a time; shares nothing."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.@]*", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _number(dumper: yaml.SafeDumper, number: Decimal | Far) -> yaml.ScalarNode:
    """Marked, because the library knows no number of any size; `_yaml` takes the marks away."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", f"<{number}>", style='"')


_Quoting.add_representer(str, _text)
_Quoting.add_representer(Decimal, _number)
_Quoting.add_representer(Far, _number)


def _yaml(path: Path, document: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.dump(dict(document), Dumper=_Quoting, sort_keys=False, allow_unicode=True)
    path.write_text(re.sub(r'"<([-+.eE0-9]+)>"', r"\1", text), encoding="utf-8")
    return path
