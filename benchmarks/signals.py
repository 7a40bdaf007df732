"""What telling of one more run costs where its platform run has many: seconds, and bytes read and written.

    python -m benchmarks.signals
    python -m benchmarks.signals --runs 1000 100000

The earlier runs are made up, each with a dataset of its own, in a ledger and an object root as builds leave them; only
their contributions are not written, which nobody reads. The new run commits a dataset; everything about it is told.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.report import describe_machine, write_results
from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.clock import SystemClock
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.refs import name_manifest, name_reconciliation, name_roll
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Limits, Run, State
from ofs_spark.intent.validate import read_intent
from ofs_spark.io.ledger import statements
from ofs_spark.io.ledger.rows import encode_run
from ofs_spark.io.ledger.sqlite import SqliteLedger
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.signals.reconciliation import LISTED, compose_entry, reconcile
from ofs_spark.signals.roll import Roll
from ofs_spark.signals.write import SignalWriter, write_ended, write_published

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "contracts" / "examples" / "valid"
OWNER = "benchmark"

Document = dict[str, Any]


@dataclass(frozen=True)
class Counted(LocalObjects):
    """A folder that counts the bytes that pass."""

    passed: dict[str, int] = field(default_factory=lambda: {"read": 0, "written": 0})

    def read(self, ref: str, most: int = sys.maxsize) -> bytes:
        """As the folder."""
        body = super().read(ref, most)
        self.passed["read"] += len(body)
        return body

    def replace(self, ref: str, body: bytes) -> None:
        """As the folder."""
        self.passed["written"] += len(body)
        super().replace(ref, body)


def read_example(path: str) -> Document:
    """A document of the contracts' examples."""
    return dict(json.loads((EXAMPLES / path).read_text()))


def make_run(number: int, manifest: Document) -> tuple[Run, Document]:
    """A run that ended with a dataset of its own, and the manifest."""
    key = sha256(str(number).encode()).hexdigest()
    made = {**manifest, "plan_id": key, "dataset_manifest_id": f"dm_{key[:32]}"}
    outcome = {"outcome": "COMMITTED", "manifest_ref": name_manifest(made["platform_run_id"], f"dm_{key[:32]}")}
    outcome |= {name: made[name] for name in ("plan_id", "dataset_manifest_id", "status")}
    request = f"request.{number:08d}"
    run = Run(
        key[:32], request, key, State.DONE, 1, 0, 1, OWNER, outcome=outcome, platform_run_id=made["platform_run_id"]
    )
    return run, made


def leave_runs(count: int, ledger: str, objects: LocalObjects, manifest: Document) -> None:
    """What `count` runs of one platform run leave in the ledger, on the roll and in the document."""
    made = [make_run(number, manifest) for number in range(count)]
    _insert(ledger, (run for run, _ in made))
    entries = [compose_entry(run, run.outcome or {}, of, []) for run, of in made]
    roll, place = Roll.of(entries), manifest["platform_run_id"]
    document = reconcile(place, roll, entries[-LISTED:])
    require_valid(document, document["schema_version"])
    objects.replace(name_roll(place), roll.encode())
    objects.replace(name_reconciliation(place), encode_canonical(document))


def _insert(ledger: str, runs: Iterable[Run]) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.executemany(statements.INSERT_RUN, (encode_run(run, 0) for run in runs))


def end_run(control: RunControl, objects: LocalObjects, number: int, manifest: Document) -> tuple[Run, str]:
    """A run that commits its dataset, up to where the ledger says DONE; and its manifest's ref."""
    made, own = make_run(number, manifest)
    outcome = made.outcome or {}
    ref = str(outcome["manifest_ref"])
    objects.put_if_absent(ref, encode_canonical(own))
    held = control.claim(control.open(made.run_key, made.request_id, made.intent_hash, made.platform_run_id))
    return control.end(held, State.DONE, "COMMITTED", outcome, {"protected_refs": []}), ref


def measure(count: int, folder: Path) -> dict[str, float]:
    """Seconds and bytes of telling of a run after `count` others of its platform run."""
    manifest = read_example("learning.dataset_manifest.v1/training_ready.json")
    intent: Intent = read_intent(
        json.dumps(
            {
                **read_example("learning.ofs_build_intent.v0/training.json"),
                "platform_run_id": manifest["platform_run_id"],
            }
        ).encode()
    )
    (folder / "root").mkdir(parents=True)
    objects = Counted(str(folder / "root"))
    control = RunControl(SqliteLedger.at(f"sqlite:///{folder}/ledger.sqlite"), SystemClock(), OWNER, Limits())
    end_run(control, objects, count + 1, manifest)  # makes the ledger's file; never told until the next one looks
    leave_runs(count, str(folder / "ledger.sqlite"), objects, manifest)
    run, ref = end_run(control, objects, count, manifest)
    objects.passed.update(read=0, written=0)
    writer = SignalWriter(objects, lambda _room, doing: print(doing))
    wall, cpu = time.perf_counter(), time.process_time()
    told = write_published(writer, control, run, intent, ref)
    write_ended(writer, control, run, intent.platform_run_id, told)
    spent = {"wall_s": round(time.perf_counter() - wall, 3), "cpu_s": round(time.process_time() - cpu, 3)}
    if told is None or set(writer.written.values()) != {"WRITTEN"}:
        raise AssertionError(writer.written)
    return {**spent, "read_bytes": objects.passed["read"], "written_bytes": objects.passed["written"]}


def main() -> None:
    """Measures and writes benchmarks/results/*-signals.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    asked = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    for count in asked.runs:
        with TemporaryDirectory() as folder:
            results[str(count)] = measure(count, Path(folder))
    write_results("signals", {"machine": describe_machine(), "runs of one platform run": results})
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
