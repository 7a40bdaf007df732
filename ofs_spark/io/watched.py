"""Ports that are watched: every call that a process makes on the outside has a name, and something stands around it.

Nothing is watched unless somebody asks: failpoints (`failpoints.py`), tests that let effects fail, measurements. A room
does not know; a new kind of document, of ledger call or of step is watched because it goes through a port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ofs_spark.foundation.ports import Clearable, Listed, Objects, Put, Tail
from ofs_spark.intent.ports import Ledger
from ofs_spark.intent.run import DatedRun, Published, Run, State, Transition
from ofs_spark.workflow.context import RunContext

if TYPE_CHECKING:  # these load Arrow
    from ofs_spark.foundation.columnar.dataflow import Step
    from ofs_spark.foundation.columnar.ports import Engine
    from ofs_spark.publish.ports import Tables

Answer = TypeVar("Answer")

KINDS: Mapping[str, str] = {
    "resolved_build_plan": "plan",
    "staging": "staged_rows",
    "datasets": "table_file",
    "replay_completeness": "replay_receipt",
    "label_resolution": "label_receipt",
    "backfill_intent": "backfill_intent",
    "files": "file_list",
    "publish_pending": "prepared",
    "manifests": "manifest",
    "supersession": "link",
    "retired": "retirement",
    "publication": "publication",
    "index": "plan_index",
    "governance": "fact",
    "run_receipts": "run_receipt",
    "reconciliation": "contribution",
    "gc": "gc_receipt",
    "parity": "parity_report",
    "forensic": "forensic",
}
"""Folder below `…/ofs/` → the kind of object in it; `name_kind` tells the few that share one."""


ENDINGS: Mapping[tuple[str, str], str] = {
    ("manifest", ".v0.json"): "manifest_v0",
    ("staged_rows", "/scan.json"): "scan_record",
    ("staged_rows", "/fold.json"): "fold_record",
    ("staged_rows", ".photos.json"): "photos",
    ("contribution", "/roll.bin"): "roll",
}
"""(kind by folder, how the ref ends) → the kind that it is."""


class Around(Protocol):
    """What stands around every call. A value that pickles: workers call it too."""

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        """What `call` answers, or something else in its place. effect: kind and verb, such as `manifest.put`."""
        ...


def watch(context: RunContext, around: Around) -> RunContext:
    """The context with `around` around every call of its ports, in workers too."""

    def start(offsets: int, rooms: str) -> Engine:
        """The engine, watched too."""
        return WatchedEngine(around("engine.start", lambda: context.engine(offsets, rooms)), around)

    return replace(
        context,
        objects=WatchedObjects(context.objects, around),
        clearable=WatchedClearable(context.clearable, around),
        profiles=WatchedObjects(context.profiles, around),
        control=replace(context.control, ledger=WatchedLedger(context.control.ledger, around)),
        tables=WatchedTables(context.tables, around),
        engine=start,
    )


def name_kind(ref: str) -> str:
    """The kind of object that stands at a ref; `input` for what others write."""
    parts = ref.split("/")
    if parts[1:3] == ["learning", "reconciliation"]:
        return "reconciliation"
    if len(parts) < 3 or parts[1] != "ofs":
        return "input"
    kind = KINDS.get(parts[2], "input")
    for (folder, ending), own in ENDINGS.items():
        if kind == folder and ref.endswith(ending):
            return own
    if kind == "parity_report" and len(parts) > 4:
        return "parity_table"
    return "table_log" if kind == "table_file" and "_delta_log" in parts else kind


@dataclass(frozen=True)
class WatchedObjects:
    """An object store."""

    store: Objects
    around: Around

    def read(self, ref: str, most: int) -> bytes:
        """`kind.read`."""
        return self.around(f"{name_kind(ref)}.read", lambda: self.store.read(ref, most))

    def read_tail(self, ref: str, most: int) -> Tail:
        """`kind.tail`."""
        return self.around(f"{name_kind(ref)}.tail", lambda: self.store.read_tail(ref, most))

    def read_range(self, ref: str, start: int, most: int) -> bytes:
        """`kind.read`, as of the whole."""
        return self.around(f"{name_kind(ref)}.read", lambda: self.store.read_range(ref, start, most))

    def digest(self, ref: str) -> str:
        """`kind.digest`."""
        return self.around(f"{name_kind(ref)}.digest", lambda: self.store.digest(ref))

    def exists(self, ref: str) -> bool:
        """`kind.look`."""
        return self.around(f"{name_kind(ref)}.look", lambda: self.store.exists(ref))

    def list_below(self, ref: str) -> list[str]:
        """`kind.list`."""
        return self.around(f"{name_kind(ref)}.list", lambda: self.store.list_below(ref))

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """`kind.put`."""
        return self.around(f"{name_kind(ref)}.put", lambda: self.store.put_if_absent(ref, body))

    def put_unsynced(self, ref: str, body: bytes) -> Put:
        """`kind.put`, as of a durable one."""
        return self.around(f"{name_kind(ref)}.put", lambda: self.store.put_unsynced(ref, body))

    def replace(self, ref: str, body: bytes) -> None:
        """`kind.replace`."""
        self.around(f"{name_kind(ref)}.replace", lambda: self.store.replace(ref, body))

    def swap(self, ref: str, seen: bytes, body: bytes) -> bool:
        """`kind.swap`."""
        return self.around(f"{name_kind(ref)}.swap", lambda: self.store.swap(ref, seen, body))

    def relative(self, ref: str) -> str:
        """No effect."""
        return self.store.relative(ref)

    def locate(self, ref: str) -> str:
        """No effect."""
        return self.store.locate(ref)


@dataclass(frozen=True)
class WatchedClearable(WatchedObjects):
    """An object store that is cleared."""

    store: Clearable

    def list_folders(self, ref: str) -> list[str]:
        """`gc.list`."""
        return self.around("gc.list", lambda: self.store.list_folders(ref))

    def list_objects(self, ref: str) -> list[Listed]:
        """`gc.list`."""
        return self.around("gc.list", lambda: self.store.list_objects(ref))

    def remove(self, ref: str) -> None:
        """`gc.remove`."""
        self.around("gc.remove", lambda: self.store.remove(ref))


@dataclass(frozen=True)
class WatchedLedger:
    """A ledger."""

    ledger: Ledger
    around: Around

    def read_clock(self) -> int | None:
        """No effect."""
        return self.ledger.read_clock()

    def register(self, run: Run, event: Transition) -> Run:
        """`ledger.register`."""
        return self.around("ledger.register", lambda: self.ledger.register(run, event))

    def find(self, run_key: str) -> Run | None:
        """`ledger.find`."""
        return self.around("ledger.find", lambda: self.ledger.find(run_key))

    def change(self, before: Run, after: Run, event: Transition) -> None:
        """`ledger.claim`, or `ledger.end`."""
        effect = "ledger.claim" if after.state is State.RUNNING else "ledger.end"
        self.around(effect, lambda: self.ledger.change(before, after, event))

    def extend(self, run_key: str, token: int, lease_until: int) -> None:
        """`ledger.beat`."""
        self.around("ledger.beat", lambda: self.ledger.extend(run_key, token, lease_until))

    def list_events(self, run_key: str) -> list[Transition]:
        """`ledger.list`."""
        return self.around("ledger.list", lambda: self.ledger.list_events(run_key))

    def list_runs(self, most: int | None = None) -> list[Run]:
        """`ledger.list`."""
        return self.around("ledger.list", lambda: self.ledger.list_runs(most))

    def list_dated(self, most: int | None = None, state: State | None = None) -> list[DatedRun]:
        """`ledger.list`."""
        return self.around("ledger.list", lambda: self.ledger.list_dated(most, state))

    def list_keys(self, prefix: str) -> list[str]:
        """`ledger.list`."""
        return self.around("ledger.list", lambda: self.ledger.list_keys(prefix))

    def count_runs(self) -> int:
        """`ledger.list`."""
        return self.around("ledger.list", self.ledger.count_runs)

    def list_tokens(self, platform_run_id: str) -> list[tuple[str, int]]:
        """`ledger.list`."""
        return self.around("ledger.list", lambda: self.ledger.list_tokens(platform_run_id))

    def list_datasets(self, prefix: str = "dm_") -> list[Published]:
        """`ledger.list`."""
        return self.around("ledger.list", lambda: self.ledger.list_datasets(prefix))

    def find_publisher(self, dataset_manifest_id: str) -> Run | None:
        """`ledger.find`."""
        return self.around("ledger.find", lambda: self.ledger.find_publisher(dataset_manifest_id))


@dataclass(frozen=True)
class WatchedTables:
    """A table format."""

    tables: Tables
    around: Around

    def create(self, *args: Any, **named: Any) -> None:
        """`table_log.commit`."""
        self.around("table_log.commit", lambda: self.tables.create(*args, **named))


@dataclass(frozen=True)
class WatchedEngine:
    """An engine."""

    engine: Engine
    around: Around

    def run(self, tasks: Sequence[bytes], steps: Sequence[Step]) -> list[dict[str, Any]]:
        """`engine.NAME`, by the name of its first step, whose spaces a failpoint's name has not."""
        return self.around(f"engine.{steps[0].name.replace(' ', '_')}", lambda: self.engine.run(tasks, steps))

    def describe_versions(self) -> Mapping[str, str]:
        """No effect."""
        return self.engine.describe_versions()
