"""However a process is started, its standard output holds one answer, or its exit status says that none was written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = "contracts/examples/valid/archive.segment_index.v0"


def run_shell(line: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of bash, in which `"$@"` is `ofs` with these arguments."""
    command = ["bash", "-c", line, "bash", sys.executable, "-m", "ofs_spark.cli", *arguments]
    told = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, check=False, env=told, cwd=ROOT)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp037", "idna", "punycode", "utf-7", "undefined"])
def test_an_answer_is_json_whatever_the_encoding_of_text(encoding: str) -> None:
    for arguments in (("identity", "nosuch"), ("--help",)):
        done = run_shell('"$@"', "--json", *arguments, PYTHONIOENCODING=encoding)
        assert b"Traceback" not in done.stderr
        if arguments == ("--help",):
            assert (done.returncode, done.stdout[:10]) == (0, b"usage: ofs")
        else:
            assert (done.returncode, json.loads(done.stdout.decode("ascii"))["reason"]) == (2, "USAGE")
            assert done.stderr.startswith(b"ofs: cannot read nosuch")


@pytest.mark.parametrize(
    ("line", "arguments", "status"),
    [
        ('"$@" >&-', ("--json", "validate", "pyproject.toml"), 10),
        ('"$@" >&-', ("validate", "conf/wiring/local.yaml"), 1),
        ('"$@" >&-', ("--help",), 1),
        ('"$@" >&-', (), 2),
        ('"$@" <&- >&- 2>&-', ("--json", "identity", "nosuch"), 2),
        ('"$@" <&- >&- 2>&-', ("--json", "validate", "conf/wiring/local.yaml"), 1),
        ('"$@" | true; exit ${PIPESTATUS[0]}', ("--json", "validate", "conf/wiring/local.yaml"), 1),
        ('"$@" >/dev/full', ("--help",), 1),
    ],
)
def test_an_answer_that_nobody_gets_is_no_success(line: str, arguments: tuple[str, ...], status: int) -> None:
    done = run_shell(line, *arguments)
    assert (done.returncode, done.stdout) == (status, b"")
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-", "2>/dev/full", "2> >(true)"])
def test_an_answer_does_without_the_other_streams(closed: str) -> None:
    for arguments, status in ((("identity", "nosuch"), 2), (("validate", "conf/wiring/local.yaml"), 0)):
        done = run_shell(f'"$@" {closed}', "--json", *arguments)
        assert done.returncode == status, done
        assert json.loads(done.stdout)
        assert b"Traceback" not in done.stderr


def test_progress_that_nobody_reads_ends_no_build() -> None:
    program = """if True:
        import sys
        from ofs_spark.console import Progress
        with Progress(sys.stderr) as progress:
            progress("pins", "x")
        print("on")
    """
    for closed in ("2>/dev/full", "2>&-", "2> >(true)"):
        done = subprocess.run(
            ["bash", "-c", f'"$@" {closed}', "bash", sys.executable, "-c", program],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert (done.returncode, done.stdout) == (0, b"on\n")


@pytest.mark.parametrize("kilobytes", [250_000, 300_000])
def test_a_process_with_little_memory_answers(kilobytes: int) -> None:
    """OpenBLAS ends a process that has no room for its threads."""
    index = next((ROOT / CONTRACT).glob("*.json"))
    limited = f'unset OPENBLAS_NUM_THREADS; ulimit -v {kilobytes}; "$@"'
    done = run_shell(limited, "--json", "validate", str(index))
    assert json.loads(done.stdout).get("outcome") in ("REFUSED", None), done
    assert b"OpenBLAS" not in done.stderr
