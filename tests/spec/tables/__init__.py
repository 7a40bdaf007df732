"""Every table, by the name of its file and case."""

from __future__ import annotations

from tests.spec.tables import aggregates, core, facts, labels, own, ranges, reading, refusals, windows
from tests.worlds.tables import Case

FILES = {
    "windows": windows,
    "aggregates": aggregates,
    "ranges": ranges,
    "facts": facts,
    "labels": labels,
    "core": core,
    "refusals": refusals,
    "reading": reading,
    "own": own,
}
ALL: dict[str, Case] = {f"{file}-{name}": case for file, module in FILES.items() for name, case in module.CASES.items()}
