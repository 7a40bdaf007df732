"""A copy of a published root that a test may spoil, and ways to spoil it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from tests.worlds.model import RUN, canon, digest

HOME = f"{RUN}/ofs"
LEFTOVER = ".put-killed"


@dataclass(frozen=True)
class Copy:
    """A root and a ledger that a test may spoil. The first manifest is the one that its first request made."""

    root: Path
    manifest_ref: str

    @property
    def ledger(self) -> Path:
        return self.root.parent / "ledger.sqlite"

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.root / self.manifest_ref).read_bytes()))

    @property
    def run_key(self) -> str:
        return Path(self.manifest["evidence"]["resolved_build_plan"]["ref"]).stem

    @property
    def table(self) -> Path:
        return Path(self.root, self.manifest["materialization"]["path"])

    @property
    def data_file(self) -> Path:
        return sorted(self.table.glob("*.parquet"))[0]

    def edit(self, ref: str, change: Callable[[dict[str, Any]], object]) -> None:
        document = json.loads((self.root / ref).read_bytes())
        change(document)
        (self.root / ref).write_bytes(canon(document))

    def run_sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.ledger)) as opened, opened:
            for trigger in ("ofs_run_event_kept", "ofs_run_event_fixed"):
                opened.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            for statement in statements:
                opened.execute(statement.format(run=self.run_key))

    def find_fact(self, kind: str) -> str:
        """The ref of the first fact of a kind that is about this run or its manifest."""
        facts = {path: json.loads(path.read_bytes()) for path in sorted((self.root / HOME / "governance").iterdir())}
        dataset = self.manifest["dataset_manifest_id"]
        own = [
            p for p, f in facts.items() if f["event_type"] == kind and f.get("dataset_manifest_id") in (dataset, None)
        ]
        return str(own[0].relative_to(self.root))


Damage = Callable[[Copy], object]


def cut_manifest(c: Copy) -> None:
    path = c.root / c.manifest_ref
    path.write_bytes(path.read_bytes()[:-9])


def indent_manifest(c: Copy) -> None:
    (c.root / c.manifest_ref).write_text(json.dumps(c.manifest, indent=1))


def copy_manifest(c: Copy) -> None:
    shutil.copy(c.root / c.manifest_ref, c.root / HOME / "manifests" / f"dm_{'0' * 32}.json")


def flip_data(c: Copy) -> None:
    body = bytearray(c.data_file.read_bytes())
    body[6] ^= 1
    c.data_file.write_bytes(bytes(body))


def append_version(c: Copy) -> None:
    write_deltalake(str(c.table), pq.read_table(c.data_file), mode="append", configuration=None)


def add_log_entry(c: Copy) -> None:
    """A second version that takes a file away: the first entry stays as it was."""
    removed = {"path": c.data_file.name, "dataChange": True, "deletionTimestamp": 0}
    (c.table / "_delta_log" / f"{1:020d}.json").write_bytes(canon({"remove": removed}))


def forge_rows(c: Copy) -> None:
    """Other rows, with every file, size and SHA-256 that names them made to fit: only the content digest tells."""
    path, ref = c.data_file, str(c.data_file.relative_to(c.root))
    rows = pq.read_table(path)
    other = pa.array(["forged", *rows.column("event_id").to_pylist()[1:]], pa.string())
    place = rows.column_names.index("event_id")
    pq.write_table(rows.set_column(place, "event_id", other), path)
    body, table = path.read_bytes(), c.manifest["materialization"]
    listed = pq.read_table(c.root / table["files"]["ref"]).to_pylist()
    for one in (one for one in listed if one["path"] == ref):
        one.update(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
    schema = pq.read_schema(c.root / table["files"]["ref"])
    pq.write_table(pa.Table.from_pylist(listed, schema), c.root / HOME / "files" / "forged.parquet")
    log = c.table / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if action.get("add", {}).get("path") == path.name:
            action["add"]["size"] = len(body)
    log.write_text("\n".join(json.dumps(action) for action in actions))
    files = {one["path"]: one["bytes"] for one in listed}
    made = {"ref": f"{HOME}/files/forged.parquet", "count": len(files), "bytes": sum(files.values())}
    made["sha256"] = hashlib.sha256((c.root / str(made["ref"])).read_bytes()).hexdigest()
    proof = {"files": made, "delta_log_sha256": hashlib.sha256(log.read_bytes()).hexdigest()}
    c.edit(c.manifest_ref, lambda d: d["materialization"].update(proof))


def tell_failure(c: Copy) -> None:
    about = {"platform_run_id": RUN, "run_key": c.run_key, "attempt": 1, "code": "CANCELLED"}
    about["receipt_ref"] = f"{HOME}/run_receipts/{c.run_key}.json"
    recipe = "ofs.governance_fact.v1"
    event_id = digest({"recipe": recipe, "event_type": "DatasetBuildFailed", "payload": about})
    fact = {"schema_version": recipe, "event_id": event_id, "event_type": "DatasetBuildFailed", **about}
    (c.root / HOME / "governance" / f"{event_id}.json").write_bytes(canon(fact))


def end_failed(outcome: str) -> Damage:
    """The run's last event and its row say that it failed."""
    return lambda c: c.run_sql(
        f"""UPDATE ofs_run_event SET "after" = 'FAILED', detail = '{outcome.replace("{", "{{").replace("}", "}}")}'
            WHERE run_key = '{{run}}' AND "after" = 'DONE'""",
        f"""UPDATE ofs_run SET state = 'FAILED', outcome = '{outcome.replace("{", "{{").replace("}", "}}")}'
            WHERE run_key = '{{run}}'""",
    )


def remove(pattern: str) -> Damage:
    """Removes the first object of OFS that the pattern finds; `{run}`, `{plan}` and `{id}` are the first request's."""

    def damage(c: Copy) -> None:
        names = {"run": c.run_key, "plan": c.manifest["plan_id"], "id": c.manifest["dataset_manifest_id"]}
        sorted((c.root / HOME).glob(pattern.format(**names)))[0].unlink()

    return damage


def edit(pattern: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    """Changes the JSON object that the pattern finds."""

    def damage(c: Copy) -> None:
        names = {"run": c.run_key, "plan": c.manifest["plan_id"], "id": c.manifest["dataset_manifest_id"]}
        c.edit(f"{HOME}/{pattern.format(**names)}", change)

    return damage


def name_other(fact: dict[str, Any]) -> None:
    """A whole fact about a manifest that does not stand."""
    fact["manifest"]["ref"] = f"{HOME}/manifests/dm_{'0' * 32}.json"
    about = {name: value for name, value in fact.items() if name not in ("schema_version", "event_id", "event_type")}
    fact["event_id"] = digest({"recipe": fact["schema_version"], "event_type": fact["event_type"], "payload": about})


def find_other(c: Copy) -> Path:
    """The manifest of the dataset that may not train."""
    stand = (c.root / HOME / "manifests").glob("*.json")
    return next(path for path in stand if b'"status":"NON_TRAINING"' in path.read_bytes())
