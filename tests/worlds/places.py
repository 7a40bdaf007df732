"""A written world at another place than its folder: its objects and profiles in a bucket, its ledger where one says."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ofs_spark.foundation.ports import Clearable
from ofs_spark.foundation.wiring import StoreSettings
from ofs_spark.io.objects.s3 import S3Objects
from tests.servers.fixtures import ENVIRONMENT
from tests.worlds.writer import Written


@dataclass(frozen=True)
class Place:
    """Where a world is. environment: what a process needs beside its own; wiring, intent: files for the command line."""

    objects_root: str
    ledger_dsn: str
    environment: Mapping[str, str]
    wiring: Path
    intent: Path
    store: StoreSettings = field(default_factory=StoreSettings)

    @property
    def objects(self) -> Clearable:
        """The store of the world's objects."""
        return S3Objects.at(self.objects_root, self.store)


def list_all(objects: Clearable) -> list[str]:
    """The ref of every object of a store whose objects all stand in a folder."""
    return [ref for folder in objects.list_folders("") for ref in objects.list_below(folder)]


def upload_world(
    written: Written,
    bucket: str,
    endpoint: str,
    folder: Path,
    ledger_dsn: str = "",
) -> Place:
    """Puts a world into a bucket, below a prefix, and makes a wiring for it in `folder`; the world's own files may go.

    bucket: its address. ledger_dsn: "" for a SQLite file in `folder`.
    """
    store = StoreSettings(endpoint=endpoint)
    for name, root in (("objects", written.root), ("profiles", written.profile.parent)):
        objects = S3Objects.at(f"{bucket}/{name}", store)
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            objects.replace(path.relative_to(root).as_posix(), path.read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    wiring: dict[str, Any] = yaml.safe_load(written.wiring.read_text(encoding="utf-8"))
    wiring["objects"] = {"root": f"{bucket}/objects", "endpoint": endpoint}
    wiring["profiles"] = {"root": f"{bucket}/profiles"}
    wiring["ledger"] = {"dsn": ledger_dsn or f"sqlite:///{folder / 'ledger.sqlite'}"}
    (folder / "wiring.yaml").write_text(yaml.safe_dump(wiring))
    intent = Path(shutil.copy(written.intent, folder / "intent.json"))
    return Place(f"{bucket}/objects", wiring["ledger"]["dsn"], ENVIRONMENT, folder / "wiring.yaml", intent, store)
