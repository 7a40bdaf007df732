"""The `ofs` command run inside the test's process."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from ofs_spark.cli import main


@dataclass(frozen=True)
class Result:
    """What a shell would see of one command."""

    exit_code: int
    stdout: str
    stderr: str


def run_command(*arguments: str) -> Result:
    """Runs `ofs` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
    return Result(status, out.getvalue(), err.getvalue())
