"""The `ofs` command in a process of its own, on real Spark, with something done to it from inside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_program(
    program: str, *own: str, command: tuple[str, ...], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs Python text with arguments of its own, then the arguments of `ofs`, by the sources of this checkout."""
    return subprocess.run(
        [sys.executable, "-c", program, *own, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )
