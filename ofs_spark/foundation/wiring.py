"""The wiring: where things are. It never enters an identity. Which addresses are served, `io/adapters.py` knows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ofs_spark.foundation import contracts
from ofs_spark.foundation.config import find_conf_root, read_conf
from ofs_spark.foundation.errors import refuse

_SECRET = {"", "/ledger", "/ledger/dsn", "/labels", "/labels/dsn"}


@dataclass(frozen=True)
class LabelsWiring:
    """Where label assertions come from. ref: of the extract's manifest; empty for another kind."""

    kind: Literal["extract", "postgres"]
    ref: str


@dataclass(frozen=True)
class Wiring:
    """Where things are, as stated or resolved; `spark` holds settings that do not change meaning.

    folder: of the wiring's file, absolute; relative addresses count from there.
    unused: optional keys that are stated and that no chosen adapter uses; told at the start of a run.
    """

    kind: Literal["local", "dev", "prod"]
    folder: str
    objects_root: str
    ledger_dsn: str
    profiles_root: str
    labels: LabelsWiring
    bus: str = "none"
    spark: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def read_wiring(path: Path | None) -> Wiring:
    """The wiring at `path` (default: OFS_WIRING, else conf/wiring/local.yaml) as it is stated: nothing is resolved.

    ENVIRONMENT_UNFIT names every fault; whether anything serves an address is not asked here.
    """
    stated = path or os.environ.get("OFS_WIRING")
    file = Path(stated) if stated else Path(str(find_conf_root() / "wiring" / "local.yaml"))
    document = read_conf(file, "the wiring")
    faults = [_hide_password(fault) for fault in contracts.find_faults(document, "wiring")]
    if faults:
        message = f"the wiring {file}: {faults[0].pointer}: {faults[0].message}"
        raise refuse("ENVIRONMENT_UNFIT", message, faults=[f.to_document() for f in faults])
    labels = document["labels"]
    return Wiring(
        kind=document.get("kind", "local"),
        folder=str(file.resolve().parent),
        objects_root=document["objects"]["root"],
        ledger_dsn=document["ledger"]["dsn"],
        profiles_root=document["profiles"]["root"],
        labels=LabelsWiring(labels["kind"], labels.get("ref", "")),
        bus=document.get("bus", {}).get("kind", "none"),
        spark={name: _find_property(value) for name, value in document.get("spark", {}).items()},
        unused=tuple(_list_optional_keys(document)),
    )


def _hide_password(fault: contracts.DocumentFault) -> contracts.DocumentFault:
    """The fault, without a value that may be, or may hold, the address of a database."""
    if fault.pointer not in _SECRET or fault.message == "is required":
        return fault
    return replace(fault, message="is not what the contract allows; it is not shown, for it may hold a password")


def _find_property(value: Any) -> str:
    """A Spark property's text: YAML's truth values are written as Spark writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list_optional_keys(document: Mapping[str, Any]) -> Iterator[str]:
    """The stated keys that only some adapters use: of an object store, of a telemetry collector."""
    yield from (f"objects.{name}" for name in ("endpoint", "region", "path_style") if name in document["objects"])
    if (document.get("telemetry") or {}).get("otlp_endpoint"):
        yield "telemetry.otlp_endpoint"
