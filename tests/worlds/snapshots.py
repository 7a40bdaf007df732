"""The platform's own online world as an archive: its records in segments, its snapshots as anchors, and planted ones."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ofs_spark import pipeline
from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.worlds.model import FACTS_REF, canon, digest, run_facts
from tests.worlds.model import intent as make_intent

GOLDEN = Path(__file__).parents[1] / "golden" / "online"
RUN, TOPIC = "platform_20260210T130700Z", "fp.bus.traffic.fraud.v1"
RECORDS: list[dict[str, Any]] = [
    json.loads(line) for line in (GOLDEN / "archive_records.jsonl").read_text().splitlines()
]
SNAPSHOTS: list[dict[str, Any]] = json.loads((GOLDEN / "snapshots.json").read_bytes())
HASHED = (
    "pins", "as_of_time_utc", "feature_groups", "feature_def_policy_rev", "eb_offset_basis", "graph_version",
    "run_config_digest", "features", "freshness",
)  # fmt: skip
Document = dict[str, Any]


def seal(snapshot: Document) -> Document:
    """A snapshot whose hash is its content's."""
    return {**snapshot, "snapshot_hash": digest({name: snapshot.get(name) for name in HASHED})}


def changed(number: int, change: Callable[[Document], object]) -> Document:
    """One of the platform's snapshots, changed, its hash as it was."""
    snapshot = deepcopy(SNAPSHOTS[number])
    change(snapshot)
    return snapshot


@dataclass(frozen=True)
class OnlineWorld:
    """Where things are. Anchors stand below `{RUN}/ofp/`, which others own."""

    folder: Path

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    def put_anchor(self, name: str, document: Mapping[str, Any] | bytes) -> str:
        ref = f"{RUN}/ofp/{name}.json"
        path = self.objects / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document if isinstance(document, bytes) else canon(dict(document)))
        return ref

    def ask(self, kind: str, request: str, anchor: str | None = None, **members: Any) -> bytes:
        """An intent of a kind over the whole archive."""
        basis = {"topic": TOPIC, "partition": 0, "offset_kind": "file_line", "start_offset": "0", "end_offset": "430"}
        document = {
            **make_intent(basis),
            "intent_kind": kind,
            "request_id": request,
            "platform_run_id": RUN,
            "feature_definition_set": {"feature_set_id": "core_features", "feature_set_version": "v1"},
            "join_scope": {},
            **({} if anchor is None else {"parity_anchor_ref": anchor}),
            **members,
        }
        return canon({name: value for name, value in document.items() if value is not None and name != "filters"})

    def compare(
        self, raw: bytes, anchors: tuple[str, ...] = (), engine: Callable[[], Engine] = EmbeddedEngine
    ) -> Document:
        with open_context(self.folder / "wiring.yaml", None, lambda _room, _doing: None, engine) as context:
            return pipeline.check_parity(raw, context, anchors)

    def rebuild(self, raw: bytes) -> Document:
        with open_context(self.folder / "wiring.yaml", None, lambda _room, _doing: None, EmbeddedEngine) as context:
            return pipeline.rebuild_forensics(raw, context)

    def read(self, ref: str) -> Any:
        return json.loads((self.objects / ref).read_bytes())


def write_online_world(folder: Path, rows_per_segment: int = 100) -> OnlineWorld:
    """The archive, its index, profile, run facts and wiring; the three snapshots as anchors `0`, `1`, `2`."""
    world, segments, before = OnlineWorld(folder), [], None
    for begin in range(0, len(RECORDS), rows_per_segment):
        records = RECORDS[begin : begin + rows_per_segment]
        rows = [{**one, "envelope": canon(one["envelope"]).decode()} for one in records]
        path = f"{RUN}/archive/segments/topic={TOPIC}/partition=0/{begin:05d}.parquet"
        (world.objects / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), world.objects / path)
        segments.append(_describe_segment(world.objects / path, path, records, before))
        before = segments[-1]["last_offset"]
    index = {"schema_version": "archive.segment_index.v0", "platform_run_id": RUN, "segments": segments}
    write(world.objects / RUN / "archive" / "segment_index.json", {**index, "digest": digest(index)})
    (folder / "profiles").mkdir(parents=True)
    shutil.copy(GOLDEN / "profile.yaml", folder / "profiles" / "core_features.yaml")
    write(world.objects / FACTS_REF, run_facts())
    wiring = (
        "kind: local\nobjects: {root: objects}\nledger: {dsn: 'sqlite:///ledger.sqlite'}\nprofiles: {root: profiles}\n"
        "labels: {kind: extract, ref: none.json}\nbus: {kind: none}\n"
    )
    (folder / "wiring.yaml").write_text(wiring)
    for number, snapshot in enumerate(SNAPSHOTS):
        world.put_anchor(str(number), snapshot)
    return world


def write(path: Path, document: Document) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(canon(document))


def _describe_segment(file: Path, path: str, records: list[Document], before: str | None) -> Document:
    body, times = file.read_bytes(), [one["ts_utc"] for one in records]
    return {
        "topic": TOPIC, "partition": 0, "offset_kind": "file_line",
        "first_offset": records[0]["origin_offset"]["offset"], "last_offset": records[-1]["origin_offset"]["offset"],
        "record_count": len(records), "previous_last_offset": before, "gaps": [], "path": path,
        "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(),
        "min_ts_utc": min(times), "max_ts_utc": max(times),
    }  # fmt: skip
