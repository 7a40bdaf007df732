"""What every contender is asked for, and the columns that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.worlds import AGGREGATES, KEYS, LABEL, SETS, WINDOWS, World

ROW = ("platform_run_id", "event_id", "event_type", "ts_utc")
POSITION = ("_topic", "_partition", "_offset")
LABEL_COLUMNS = (
    f"label__{LABEL}",
    f"label__{LABEL}__status",
    f"label__{LABEL}__effective_time",
    f"label__{LABEL}__observed_time",
    f"label__{LABEL}__assertion_id",
)


@dataclass(frozen=True)
class Job:
    """A world, the name of a feature set (`one` key or `two`), and the folder that takes the table."""

    world: World
    keys: str
    table: Path

    @property
    def groups(self) -> dict[str, str]:
        """Feature group → the payload field that is its key."""
        return {group: KEYS[group] for group in SETS[self.keys]}

    @property
    def features(self) -> list[tuple[str, str]]:
        """(name, Spark type) of every feature column, in the order of a build."""
        return [
            (f"{group}__{name}_{window}", "bigint" if name == "count" else "double")
            for group in self.groups
            for name in AGGREGATES
            for window in WINDOWS
        ]

    @property
    def columns(self) -> list[str]:
        """Every column of the table."""
        return [*ROW, *(name for name, _ in self.features), *LABEL_COLUMNS, *POSITION]
