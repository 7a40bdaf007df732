"""Adapters by scheme: the one place that knows which stores, ledgers, buses and label stores this release reaches.

A wiring names each by an address or a kind, and its scheme chooses the adapter. A scheme that a wiring may name and
that this release does not serve yet is reserved: it stands here as None.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Literal, TypeVar

from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Clearable
from ofs_spark.foundation.wiring import Wiring, read_wiring
from ofs_spark.intent.ports import Ledger
from ofs_spark.io.ledger import sqlite
from ofs_spark.io.objects.local import LocalObjects

Port = TypeVar("Port", covariant=True)
Served = TypeVar("Served")
_NO_TABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


@dataclass(frozen=True)
class Adapter(Generic[Port]):
    """How one scheme is served.

    open: absolute address → port. resolve: (address as stated, the wiring's folder) → absolute address.
    one_machine: it serves one machine only, and a prod wiring refuses it. uses: the optional wiring keys it reads.
    """

    open: Callable[[str], Port]
    resolve: Callable[[str, str], str] = lambda address, _folder: address
    one_machine: bool = False
    uses: frozenset[str] = frozenset()


def _resolve_folder(root: str, folder: str) -> str:
    return str(Path(folder, root).resolve())


def _resolve_sqlite(dsn: str, folder: str) -> str:
    return sqlite.SCHEME + str(Path(folder, dsn.removeprefix(sqlite.SCHEME)).resolve())


OBJECT_STORES: Mapping[str, Adapter[Clearable] | None] = {
    "file": Adapter(LocalObjects.at, _resolve_folder, one_machine=True),
    "s3": None,
}
LEDGERS: Mapping[str, Adapter[Ledger] | None] = {
    "sqlite": Adapter(sqlite.SqliteLedger.at, _resolve_sqlite, one_machine=True),
    "postgresql": None,
}
BUSES: Mapping[str, Literal[True] | None] = {"none": True, "file": None, "kafka": None, "kinesis": None}
LABEL_STORES: Mapping[str, Literal[True] | None] = {"extract": True, "postgres": None}
"""True: served without an adapter. No bus is nothing to open; the labels room reads an extract from the object store."""


_OTHER_SCHEMES = frozenset(
    {"file", "gs", "abfss", "hdfs", "http", "https", "s3a", "s3n", "mysql", "sqlite", "postgres"}
)
"""Schemes that no release reaches and that people name."""


def load_wiring(path: Path | None) -> Wiring:
    """The wiring at `path` (default: as `read_wiring`), its addresses absolute, all of them served by this release.

    ENVIRONMENT_UNFIT for a fault of the file, an address that no adapter serves, and a prod wiring that names what is
    for one machine: nothing falls back silently.
    """
    return serve_wiring(read_wiring(path))


def serve_wiring(stated: Wiring) -> Wiring:
    """The wiring with absolute addresses, all of them served. ENVIRONMENT_UNFIT as `load_wiring`."""
    root, dsn = _read_scheme(stated.objects_root), _read_scheme(stated.ledger_dsn)
    if stated.kind == "prod" and any(one and one.one_machine for one in (OBJECT_STORES.get(root), LEDGERS.get(dsn))):
        message = "a prod wiring names an object store and a database server: folders and SQLite are for one machine"
        raise refuse("ENVIRONMENT_UNFIT", message)
    objects = _find_store(stated.objects_root, "objects.root")
    ledger = find_adapter(LEDGERS, dsn, "ledger.dsn")
    find_adapter(LABEL_STORES, stated.labels.kind, "labels.kind")
    find_adapter(BUSES, stated.bus, "bus.kind")
    profiles = _find_store(stated.profiles_root, "profiles.root")
    used = objects.uses | ledger.uses | profiles.uses
    return replace(
        stated,
        objects_root=_resolve(objects, stated.objects_root, stated.folder, "objects.root"),
        ledger_dsn=_resolve(ledger, stated.ledger_dsn, stated.folder, "ledger.dsn"),
        profiles_root=_resolve(profiles, stated.profiles_root, stated.folder, "profiles.root"),
        unused=tuple(key for key in stated.unused if key not in used),
    )


def _resolve(adapter: Adapter[Port], address: str, folder: str, key: str) -> str:
    """The absolute address; ENVIRONMENT_UNFIT, showing no value, for one that no file can have."""
    try:
        return adapter.resolve(address, folder)
    except (OSError, RuntimeError, ValueError):  # links in a circle are a RuntimeError of pathlib
        raise _refuse_unfit(key, "no path: its links go in a circle, or it holds what no name can") from None


def require_root(wiring: Wiring) -> None:
    """ENVIRONMENT_UNFIT unless the object root stands, at a path that tables can have: a mistyped one is never made.

    Delta's stores take no backslash, no control character and nothing but UTF-8, however an address spells them.
    """
    if _read_scheme(wiring.objects_root) != "file":
        return
    if _NO_TABLE.search(wiring.objects_root):
        message = (
            "is at a path with a backslash, a control character or bytes that are no UTF-8: Delta writes no table there"
        )
        raise refuse("ENVIRONMENT_UNFIT", f"objects.root {message}", pointer="/objects/root")
    if not os.path.isdir(wiring.objects_root):
        found = "a file" if os.path.exists(wiring.objects_root) else "not there"
        message = f"is {found}; name the folder that holds the platform's objects, or make it"
        raise refuse("ENVIRONMENT_UNFIT", f"objects.root {message}", pointer="/objects/root")


def open_objects(root: str) -> Clearable:
    """The object store at an absolute address. Creates nothing."""
    return _find_store(root, "objects.root").open(root)


def open_ledger(dsn: str) -> Ledger:
    """The ledger at an absolute address. Creates nothing; ENVIRONMENT_UNFIT if what stands there is unusable."""
    return find_adapter(LEDGERS, _read_scheme(dsn), "ledger.dsn").open(dsn)


def find_adapter(adapters: Mapping[str, Served | None], scheme: str, key: str) -> Served:
    """What serves a scheme; ENVIRONMENT_UNFIT, pointing at the wiring's `key`, if it is reserved or unknown.

    The message holds the scheme alone: an address may hold a password.
    """
    adapter = adapters.get(scheme)
    if adapter is None:
        served = ", ".join(name for name, one in adapters.items() if one is not None)
        raise _refuse_unfit(key, f"{_show_scheme(scheme, adapters)}: this release reaches {served} only")
    return adapter


def _find_store(root: str, key: str) -> Adapter[Clearable]:
    if root.startswith("file://"):
        raise _refuse_unfit(key, "file://: a folder is named by its path")
    return find_adapter(OBJECT_STORES, _read_scheme(root), key)


def _read_scheme(address: str) -> str:
    """`s3` of s3://bucket/p, `sqlite` of sqlite:///f, `file` of a path."""
    scheme, colon, _ = address.partition("://")
    return scheme if colon else "file"


def _show_scheme(scheme: str, adapters: Mapping[str, object]) -> str:
    """A scheme, if it is a known one: before a mistyped `://` may stand anything."""
    return scheme if scheme in adapters or scheme in _OTHER_SCHEMES else "of an unknown kind"


def _refuse_unfit(key: str, found: str) -> Refusal:
    return refuse("ENVIRONMENT_UNFIT", f"{key} is {found}", pointer="/" + key.replace(".", "/"))
