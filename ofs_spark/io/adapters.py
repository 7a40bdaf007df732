"""Adapters by scheme: the one place that knows which stores, ledgers, buses and label stores this release reaches.

A wiring names each by an address or a kind, and its scheme chooses the adapter. A scheme that a wiring may name and
that this release does not serve yet is reserved: it stands here as None.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Generic, Literal, TypeAlias, TypeVar

from ofs_spark.foundation.commands import Next
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import Clearable
from ofs_spark.foundation.wiring import StoreSettings, Wiring, read_wiring
from ofs_spark.intent.ports import Ledger
from ofs_spark.io.ledger import sqlite
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.s3 import S3Objects
from ofs_spark.io.objects.s3_client import list_storage_options
from ofs_spark.io.objects.s3_place import USES, S3Place, UnfitPlaceError, read_place, resolve_root

Reach: TypeAlias = Callable[[StoreSettings], Clearable]
"""Gives the object store of an address, to whom says how it is reached."""
Port = TypeVar("Port", covariant=True)
Served = TypeVar("Served")
_NOTHING_STATED = StoreSettings()
READERS = 16
"""Documents of a bucket that are read at once."""
MAKE_WORLD = Next(
    "demo",
    do="name a wiring by --wiring or OFS_WIRING; `ofs demo` makes a world to look at, `ofs init DIR` one of your own",
)
"""What helps who has no wiring yet."""
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


def _reach_folder(root: str) -> Reach:
    return lambda _settings: LocalObjects.at(root)


def _reach_bucket(root: str) -> Reach:
    return partial(S3Objects.at, root)


OBJECT_STORES: Mapping[str, Adapter[Reach] | None] = {
    "file": Adapter(_reach_folder, _resolve_folder, one_machine=True),
    "s3": Adapter(_reach_bucket, lambda root, _folder: resolve_root(root), uses=USES),
}


def _open_postgres(dsn: str) -> Ledger:
    from ofs_spark.io.ledger.postgres import PostgresLedger  # loads psycopg, for those alone who have such a ledger

    return PostgresLedger.at(dsn)


LEDGERS: Mapping[str, Adapter[Ledger] | None] = {
    "sqlite": Adapter(sqlite.SqliteLedger.at, _resolve_sqlite, one_machine=True),
    "postgresql": Adapter(_open_postgres),
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
    _require_way(stated, objects.uses | profiles.uses)
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
    except UnfitPlaceError as unfit:
        raise _refuse_unfit(key, unfit.found) from None
    except (OSError, RuntimeError, ValueError):  # links in a circle are a RuntimeError of pathlib
        raise _refuse_unfit(key, "no path: its links go in a circle, or it holds what no name can") from None


def _require_way(wiring: Wiring, uses: frozenset[str]) -> None:
    """ENVIRONMENT_UNFIT for settings with which no bucket can be reached, and for a prod wiring that sends data openly."""
    if not uses & USES:
        return
    for key, root in (("objects.root", wiring.objects_root), ("profiles.root", wiring.profiles_root)):
        if _read_scheme(root) == "s3" and _find_place(root, wiring.store, key).has_open_way and wiring.kind == "prod":
            raise _refuse_unfit("objects.endpoint", "http:// to another machine: a prod wiring takes https:// alone")


def _find_place(root: str, settings: StoreSettings, key: str) -> S3Place:
    try:
        return read_place(root, settings)
    except UnfitPlaceError as unfit:
        raise _refuse_unfit(unfit.key or key, unfit.found) from None


def find_notes(wiring: Wiring) -> Iterator[str]:
    """What people are told of a wiring at the start of a run."""
    for name in wiring.unused:
        yield f"the wiring states {name}, which this release does not use"
    roots = [root for root in (wiring.objects_root, wiring.profiles_root) if _read_scheme(root) == "s3"]
    if any(read_place(root, wiring.store).has_open_way for root in roots):
        yield "objects.endpoint is http:// to another machine: objects travel unencrypted"


def require_root(wiring: Wiring) -> None:
    """ENVIRONMENT_UNFIT unless the object root stands, at a path that tables can have: a mistyped one is never made.

    Delta's stores take no backslash, no control character and nothing but UTF-8, however an address spells them. A
    bucket must answer: REF_ACCESS_DENIED where it may not be listed, OSError where it does not answer.
    """
    store = open_objects(wiring.objects_root, wiring.store)
    if isinstance(store, S3Objects):
        if "%" in store.place.prefix:  # delta-rs reads what it has committed at an address that it decodes twice
            message = "objects.root is below a prefix with a %: Delta writes no table there"
            raise refuse("ENVIRONMENT_UNFIT", message, pointer="/objects/root")
        store.require_root()
        return
    if _NO_TABLE.search(wiring.objects_root):
        message = (
            "is at a path with a backslash, a control character or bytes that are no UTF-8: Delta writes no table there"
        )
        raise refuse("ENVIRONMENT_UNFIT", f"objects.root {message}", pointer="/objects/root")
    if not os.path.isdir(wiring.objects_root):
        raise _refuse_rootless(wiring)


def _refuse_rootless(wiring: Wiring) -> Refusal:
    """Why there is no object root to work in; where nobody named a wiring, what makes one."""
    found = "a file" if os.path.exists(wiring.objects_root) else "not there"
    if wiring.chosen_by != "default":
        message = f"objects.root is {found}; name the folder that holds the platform's objects, or make it"
        return refuse("ENVIRONMENT_UNFIT", message, pointer="/objects/root")
    message = f"no wiring was named, and the default one points at nothing: its objects.root is {found}"
    return refuse("ENVIRONMENT_UNFIT", message, MAKE_WORLD, pointer="/objects/root")


def open_objects(root: str, settings: StoreSettings = _NOTHING_STATED) -> Clearable:
    """The object store at an absolute address. Creates nothing."""
    return _find_store(root, "objects.root").open(root)(settings)


def count_readers(root: str) -> int:
    """How many documents of a store are read at once: a bucket answers each after some milliseconds, however small it is; in
    a folder of this machine threads only wait for one another, and take as much CPU again."""
    return 1 if _find_store(root, "objects.root").one_machine else READERS


def list_table_options(wiring: Wiring) -> dict[str, str]:
    """What delta-rs must be told of the object root, credentials too: to be shown nowhere, and asked for each commit."""
    store = open_objects(wiring.objects_root, wiring.store)
    return list_storage_options(store.place) if isinstance(store, S3Objects) else {}


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


def _find_store(root: str, key: str) -> Adapter[Reach]:
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
