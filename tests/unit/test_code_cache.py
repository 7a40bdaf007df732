"""Compiled loops are found again wherever the code lies, and never after a change of the code."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOOPS = "from ofs_spark.foundation.columnar import hashing as h; s = [f.stats for f in (h._hash_crc32, h._parse_hex)]"
COUNTED = f"{LOOPS}; print(h.__file__, sum(sum(x.cache_hits.values()) for x in s), sum(sum(x.cache_misses.values()) for x in s))"


def loaded(code: Path, cache: Path) -> tuple[int, int]:
    """(loops found in the cache, loops compiled) by a new process that has the package from `code`."""
    environment = {**os.environ, "PYTHONPATH": str(code), "OFS_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", COUNTED],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=code.parent,
    )
    file, hits, misses = done.stdout.split()
    assert file.startswith(str(code)), "the package under test is the archive's"
    return int(hits), int(misses)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    target = tmp_path / "one" / "ofs_spark.zip"
    target.parent.mkdir()
    subprocess.run([sys.executable, str(ROOT / "scripts" / "pack_code.py"), str(target)], check=True)
    return target


def test_another_process_with_the_archive_elsewhere_compiles_nothing(archive: Path, tmp_path: Path) -> None:
    assert loaded(archive, tmp_path / "cache") == (0, 2)
    elsewhere = tmp_path / "two" / "ofs_spark.zip"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(archive.read_bytes())
    assert loaded(elsewhere, tmp_path / "cache") == (2, 0)


def test_a_change_of_any_file_is_another_code(archive: Path, tmp_path: Path) -> None:
    assert loaded(archive, tmp_path / "cache") == (0, 2)
    with zipfile.ZipFile(archive) as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    entries["ofs_spark/foundation/positions.py"] += b"\n"  # compiles nothing itself; a constant of it stands in a loop
    with zipfile.ZipFile(archive, "w") as packed:
        for name, body in entries.items():
            packed.writestr(name, body)
    assert loaded(archive, tmp_path / "cache") == (0, 2)


def test_without_a_place_to_keep_it_code_is_compiled_and_runs(archive: Path) -> None:
    assert [loaded(archive, Path("/proc/nowhere")) for _ in range(2)] == [(0, 2)] * 2
