"""Published datasets without a build: manifests after the contract's example, and runs of the ledger that ended with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.ports import Objects
from ofs_spark.foundation.refs import name_manifest, name_retirement, name_supersession
from ofs_spark.foundation.wiring import StoreSettings
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Limits, Run, State
from ofs_spark.io.adapters import open_ledger, open_objects

VALID = Path(__file__).resolve().parents[2] / "contracts" / "examples" / "valid"
MANIFEST: dict[str, Any] = json.loads((VALID / "learning.dataset_manifest.v1" / "training_ready.json").read_bytes())
LINK: dict[str, Any] = json.loads((VALID / "ofs.supersession_link.v1" / "completed.json").read_bytes())
RUN_ID: str = MANIFEST["platform_run_id"]


@dataclass(frozen=True)
class Shelf:
    """A plane whose ledger and store are filled by hand. Its clock moves a second with each run."""

    wiring: Path
    objects: Objects
    control: RunControl
    clock: FixedClock

    def publish(self, number: int, dataset: str, **changes: Any) -> str:
        """A manifest and the run that ended with it; its ref. changes: of the manifest's members."""
        ref = str(name_manifest(RUN_ID, dataset))
        own = {"dataset_manifest_id": dataset, "materialization": {**MANIFEST["materialization"], "row_count": number}}
        self.objects.put_if_absent(ref, json.dumps({**MANIFEST, **own, **changes}).encode())
        self.end_run(number, {"outcome": "COMMITTED", "dataset_manifest_id": dataset, "manifest_ref": ref})
        return ref

    def end_run(self, number: int, outcome: dict[str, Any]) -> Run:
        """A run that is DONE with an outcome."""
        held = self.control.claim(self.control.open(f"{number:032x}", f"request.{number:06d}", "ab" * 32, RUN_ID))
        self.clock.advance(1)
        return self.control.end(held, State.DONE, str(outcome["outcome"]), outcome)

    def supersede(self, old: str, new: str) -> None:
        """The link from a dataset to the one that takes its place."""
        ref = name_supersession(RUN_ID, old)
        self.objects.put_if_absent(ref, json.dumps({**LINK, "superseded": old, "successor": new}).encode())

    def retire(self, dataset: str) -> None:
        """What says that a dataset is retired."""
        self.objects.put_if_absent(name_retirement(RUN_ID, dataset), b"{}")


def make_shelf(folder: Path, root: str = "", dsn: str = "", endpoint: str = "") -> Shelf:
    """An empty plane. root, dsn: of objects and ledger; "" for a folder and a file in `folder`."""
    objects, ledger = root or str(folder / "objects"), dsn or f"sqlite:///{folder / 'ledger.sqlite'}"
    if not root:
        (folder / "objects").mkdir(parents=True)
    places = {
        "objects": {"root": objects, **({"endpoint": endpoint} if endpoint else {})},
        "ledger": {"dsn": ledger},
        "profiles": {"root": "profiles"},
        "labels": {"kind": "extract", "ref": "labels.json"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wiring.yaml").write_text(yaml.safe_dump(places))
    clock = FixedClock()
    control = RunControl(open_ledger(ledger), clock, "host:1", Limits())
    return Shelf(folder / "wiring.yaml", open_objects(objects, StoreSettings(endpoint=endpoint)), control, clock)
