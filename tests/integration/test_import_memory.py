"""What an import holds of its rows: a few blocks and some bytes an event, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1024**2
FEW, MANY = 100_000, 1_000_000
EACH = 25
"""Bytes an event, as docs/your-own-data.md has it."""
IMPORT = """
import resource, sys
from ofs_spark.cli import main
assert main(sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def write_events(path: Path, count: int) -> None:
    head, tail = ("id,at,card,amount\n", "") if path.suffix == ".csv" else ("", "}")
    row = (
        '{"id":"e%08d","at":"2026-02-%02dT10:00:00Z","card":"c%d","amount":"%d.50"'
        if tail
        else "e%08d,2026-02-%02dT10:00:00Z,c%d,%d.50"
    )
    with path.open("w") as file:
        file.write(head)
        file.writelines(f"{row % (n, 1 + n * 28 // count, n % 997, n % 500)}{tail}\n" for n in range(count))


def measure_import(folder: Path, suffix: str, count: int) -> int:
    """Bytes that the process came to."""
    events = folder / f"{count}{suffix}"
    write_events(events, count)
    options = ("--events", str(events), "--id", "id", "--time", "at", "--type-is", "payment", "--key", "card")
    line = [sys.executable, "-c", IMPORT, "--json", "--quiet", "import", str(folder / f"{count}"), *options]
    return int(subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


@pytest.mark.nightly
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_nine_hundred_thousand_events_more_are_not_held(suffix: str, tmp_path: Path) -> None:
    few, many = (measure_import(tmp_path, suffix, count) for count in (FEW, MANY))
    assert many - few < (MANY - FEW) * EACH + 48 * MIB
    assert many < 512 * MIB
