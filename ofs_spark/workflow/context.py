"""Everything a path needs of the outside, in one value: made by `io/context.py`, given to `pipeline.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ofs_spark.foundation.clock import Clock
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.policy import Policy
from ofs_spark.foundation.ports import Announce, Clearable, Objects
from ofs_spark.foundation.wiring import Wiring
from ofs_spark.intent.control import RunControl

if TYPE_CHECKING:  # these load Arrow and NumPy, which an answer from the ledger or a manifest does without
    from ofs_spark.foundation.columnar.ports import Engine
    from ofs_spark.publish.ports import Tables


ADDRESSED = frozenset(
    {"manifest_ref", "table_ref", "report_ref", "record_ref", "snapshot_ref", "results_ref", "contributions_ref"}
)
"""Members of answers that name what a run left."""


@dataclass(frozen=True)
class RunContext:
    """Ports and settings of one process.

    engine: (how many offsets there are, or rows that came of them; the module of what steps need, "" for none) → the engine for
    so many. It is started when it is first asked for; processes of its own load that module meanwhile.
    """

    wiring: Wiring
    policy: Policy
    release: str
    objects: Objects
    profiles: Objects
    control: RunControl
    tables: Tables
    clock: Clock
    engine: Callable[[int, str], Engine]
    environment: Callable[[], Mapping[str, str]]
    announce: Announce
    clearable: Clearable
    """The same objects, for `ofs gc` alone: no other path lists ages or removes."""
    width: int
    """Targets of an exchange whose width does not change the dataset."""
    readers: int
    """Small documents that are read at once."""

    def locate_file(self, root: str, ref: str) -> str:
        """The path of the file at a ref below the `objects` or `profiles` root; "" where no such file is on this machine,
        or where the root is not to be shown."""
        path = "" if root in self.wiring.hidden else self._locate(root, ref)
        return path if os.path.isfile(path) else ""  # the answer of a refusal: no error of its own

    def name_address(self, root: str, ref: str) -> str:
        """Where the object at a ref below the `objects` or `profiles` root stands, or must stand: the full address, or the
        ref where the root is not to be shown; "" for a ref that the root cannot have."""
        found = self._locate(root, ref)
        return ref if found and root in self.wiring.hidden else found

    def _locate(self, root: str, ref: str) -> str:
        store = self.profiles if root == "profiles" else self.objects
        try:
            return store.locate(ref)
        except Refusal:
            return ""

    def show_address(self, ref: str) -> str:
        """The absolute path, or full address, of a ref below the object root; "" where the root is not to be shown."""
        if "objects" in self.wiring.hidden:
            return ""
        try:
            return self.objects.locate(ref.rstrip("/"))
        except Refusal:
            return ""


def state_paths(answer: dict[str, Any], context: RunContext) -> dict[str, Any]:
    """An answer with the address beside each ref of what a run left: `table_path` beside `table_ref`, and so on."""
    stated = {**answer}
    for name, ref in answer.items():
        if name in ADDRESSED and isinstance(ref, str):
            address = context.show_address(ref)
            stated |= {f"{name.removesuffix('_ref')}_path": address} if address else {}
    if "datasets" in answer:
        stated["datasets"] = [{"table_path": None, **state_paths(one, context)} for one in answer["datasets"]]
    return stated
