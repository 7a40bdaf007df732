"""What one schedule has shown so far: so that a later look tells a change from a state, and repeats no reading."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = TypeVar("Value")
Row = dict[str, Any]


@dataclass
class History:
    """Everything earlier looks at one object root and one ledger have seen; one per schedule, and for it alone.

    frozen: ref → SHA-256 of what must never change. named: ref → the manifest that names it. runs: run key → the
    ledger's row; events: run key → its events, oldest first. known: what was read or computed, by what it depends on.
    """

    frozen: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Row] = field(default_factory=dict)
    events: dict[str, list[Row]] = field(default_factory=dict)
    known: dict[Hashable, Any] = field(default_factory=dict)

    def recall(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value that `compute` gave for this key when it was first asked for."""
        if key not in self.known:
            self.known[key] = compute()
        value: Value = self.known[key]
        return value
