"""An object root that no platform wrote: its archive, segment index, labels, run facts and wiring, as the contracts say.

Every writer of such a root comes here: an import of somebody's own events, and the demo. What is written states where it
comes from (`origin`), which no prod wiring admits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.foundation.clock import format_instant
from ofs_spark.foundation.files import digest_file
from ofs_spark.foundation.refs import name_segment_index
from ofs_spark.pins.plan import OWN_DATA

MICROS = pa.timestamp("us", "UTC")
_ORIGIN_OFFSET = pa.struct(
    [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.string()), ("offset_kind", pa.string())]
)


@dataclass(frozen=True)
class Run:
    """The platform run that a root is of, and its one scenario run, with the pins that every event and the facts state."""

    platform_run_id: str
    scenario_run_id: str
    scenario_id: str
    seed: int
    manifest_fingerprint: str
    parameter_hash: str

    @property
    def pins(self) -> dict[str, Any]:
        """As envelopes and run facts hold them."""
        return {
            "manifest_fingerprint": self.manifest_fingerprint,
            "parameter_hash": self.parameter_hash,
            "seed": self.seed,
            "scenario_id": self.scenario_id,
            "run_id": self.scenario_run_id,
            "platform_run_id": self.platform_run_id,
            "scenario_run_id": self.scenario_run_id,
        }

    @property
    def run_facts_ref(self) -> str:
        """Where the run facts stand."""
        return f"{self.platform_run_id}/sr/run_facts_view/{self.scenario_run_id}.json"

    @property
    def extract_folder(self) -> str:
        """The folder of the label extract."""
        return f"{self.platform_run_id}/label_store/extract"

    @property
    def extract_ref(self) -> str:
        """Where the label extract's manifest stands."""
        return f"{self.extract_folder}/label_extract.json"

    @property
    def event_head(self) -> str:
        """What stands between event type and payload in the canonical text of an envelope."""
        return (
            f'"manifest_fingerprint":"{self.manifest_fingerprint}","parameter_hash":"{self.parameter_hash}","payload":'
        )

    @property
    def event_tail(self) -> str:
        """What stands between the payload and the text of the time; a quote and a brace close the envelope."""
        named = {
            "platform_run_id": self.platform_run_id,
            "run_id": self.scenario_run_id,
            "scenario_id": self.scenario_id,
            "scenario_run_id": self.scenario_run_id,
            "schema_version": "v1",
            "seed": self.seed,
        }
        return f',{encode_canonical(named).decode()[1:-1]},"ts_utc":"'


@dataclass(frozen=True)
class Shard:
    """One partition of a topic."""

    topic: str
    partition: int
    offset_kind: str

    def to_document(self) -> dict[str, Any]:
        """As index entries and intents name it."""
        return {"topic": self.topic, "partition": self.partition, "offset_kind": self.offset_kind}

    def name_segment(self, platform_run_id: str, number: int) -> str:
        """The ref of the shard's n-th segment."""
        folder = f"{platform_run_id}/archive/segments/topic={self.topic}/partition={self.partition}"
        return f"{folder}/{number:04d}.parquet"


def make_archive_table(
    run: Run, shard: Shard, offsets: Sequence[str], events: Mapping[str, pa.Array | pa.ChunkedArray]
) -> pa.Table:
    """Archive rows. events: event_id, event_type, ts_utc, payload_hash, envelope and whichever other columns are known."""
    n = len(offsets)
    origin = pa.StructArray.from_arrays(
        [
            pa.repeat(shard.topic, n),
            pa.repeat(pa.scalar(shard.partition, pa.int32()), n),
            pa.array(offsets, pa.string()),
            pa.repeat(shard.offset_kind, n),
        ],
        fields=list(_ORIGIN_OFFSET),
    )
    columns = {
        "archived_at_utc": events.get("archived_at_utc", pa.nulls(n, MICROS)),
        "platform_run_id": pa.repeat(run.platform_run_id, n),
        "scenario_run_id": pa.repeat(run.scenario_run_id, n),
        "manifest_fingerprint": pa.repeat(run.manifest_fingerprint, n),
        "parameter_hash": pa.repeat(run.parameter_hash, n),
        "scenario_id": pa.repeat(run.scenario_id, n),
        "seed": pa.repeat(str(run.seed), n),
        **{name: events[name] for name in ("event_id", "event_type", "ts_utc", "payload_hash")},
        "origin_offset": origin,
        "envelope": events["envelope"],
    }
    if "published_at_utc" in events:
        columns["published_at_utc"] = events["published_at_utc"]
    return pa.table(columns)


def describe_segment(
    shard: Shard, span: tuple[int, int, int | None], count: int, times: tuple[int, int], stored: Mapping[str, Any]
) -> dict[str, Any]:
    """A segment's entry in the index. span: its first and last offset and the one before it; times: µs, both ends."""
    first, last, previous = span
    return {
        **shard.to_document(),
        "first_offset": str(first),
        "last_offset": str(last),
        "record_count": count,
        "previous_last_offset": None if previous is None else str(previous),
        "gaps": [],
        "min_ts_utc": format_instant(times[0]),
        "max_ts_utc": format_instant(times[1]),
        **stored,
    }


def write_index(root: Path, run: Run, segments: Sequence[Mapping[str, Any]]) -> str:
    """Writes the segment index; its digest."""
    index = {
        "schema_version": "archive.segment_index.v0",
        "platform_run_id": run.platform_run_id,
        "segments": list(segments),
        "origin": OWN_DATA,
    }
    found = digest(index)
    write_json(root / name_segment_index(run.platform_run_id), {**index, "digest": found})
    return found


def list_basis(segments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The ranges of all that is archived, as an intent's replay_basis, in the order of the segments."""
    ends: dict[tuple[str, int], dict[str, Any]] = {}
    for one in segments:
        named = {name: one[name] for name in ("topic", "partition", "offset_kind")}
        first = ends.setdefault((one["topic"], one["partition"]), {**named, "start_offset": one["first_offset"]})
        first["end_offset"] = one["last_offset"]
    return list(ends.values())


def write_extract(
    root: Path, run: Run, store: str, marker: str, committed_up_to_us: int, files: Sequence[Mapping[str, Any]]
) -> str:
    """Writes the manifest of a label extract, whose files stand already; its digest."""
    extract = {
        "schema_version": "label_store.extract.v0",
        "label_store_id": store,
        "marker": marker,
        "committed_up_to_utc": format_instant(committed_up_to_us),
        "row_count": sum(file["row_count"] for file in files),
        "files": list(files),
        "origin": OWN_DATA,
    }
    found = digest(extract)
    write_json(root / run.extract_ref, {**extract, "digest": found})
    return found


def write_run_facts(root: Path, run: Run, facts: Mapping[str, Any]) -> None:
    """Writes the run facts. facts: locators, receipts, policy_rev, bundle_hash."""
    view = {
        "run_id": run.scenario_run_id,
        "platform_run_id": run.platform_run_id,
        "scenario_run_id": run.scenario_run_id,
        "pins": run.pins,
        "gate_receipts": [],
        "plan_ref": f"{run.platform_run_id}/sr/plan.json",
        "record_ref": f"{run.platform_run_id}/sr/record.json",
        "status_ref": f"{run.platform_run_id}/sr/status.json",
        "origin": OWN_DATA,
        **facts,
    }
    write_json(root / run.run_facts_ref, view)


def describe_output(run: Run, output_id: str, ref: str, sha256: str = "") -> dict[str, Any]:
    """The locator of an output. sha256: of its bytes, "" where none is stated."""
    stated = {"content_digest": {"algo": "sha256", "hex": sha256}} if sha256 else {}
    return {"output_id": output_id, "path": ref, "manifest_fingerprint": run.manifest_fingerprint, **stated}


def describe_receipt(run: Run, output_id: str, ref: str, status: str, sha256: str) -> dict[str, Any]:
    """The receipt that admits reading an output, where its status is PASS."""
    return {
        "output_id": output_id,
        "status": status,
        "scope": {"manifest_fingerprint": run.manifest_fingerprint},
        "target_ref": {"output_id": output_id, "path": ref},
        "target_digest": {"algo": "sha256", "hex": sha256},
    }


def compose_wiring(folder: str, extract_ref: str, spark: Mapping[str, str], engine: str = "auto") -> str:
    """The text of a wiring whose object root is `folder`; paths are relative to the file."""
    settings = "".join(f"  {name}: '{value}'\n" for name, value in {"spark.driver.memory": "4g", **spark}.items())
    ledger = "ledger.sqlite" if folder == "." else f"{folder}/ledger.sqlite"
    return (
        f"kind: local\nobjects: {{root: {folder}}}\nledger: {{dsn: 'sqlite:///{ledger}'}}\n"
        f"profiles: {{root: profiles}}\nlabels: {{kind: extract, ref: {extract_ref}}}\nbus: {{kind: none}}\n"
        f"engine: {engine}\nspark:\n{settings}"
    )


def write_parquet(root: Path, ref: str, table: pa.Table) -> dict[str, Any]:
    """Writes a file of the root; its path, bytes and sha256, as an index or an extract states them."""
    path = root / ref
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    return describe_stored(root, ref)


def describe_stored(root: Path, ref: str) -> dict[str, Any]:
    """The path, bytes and sha256 of a file that stands, as an index or an extract states them."""
    path = root / ref
    return {"path": ref, "bytes": path.stat().st_size, "sha256": digest_file(path)}


def write_json(path: Path, document: Mapping[str, Any]) -> Path:
    """Writes a document as canonical JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_canonical(dict(document), max_depth=64))
    return path
