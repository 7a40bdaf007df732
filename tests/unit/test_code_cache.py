"""Compiled loops are found again wherever the code lies, and never after a change of the code."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ofs_spark.foundation import code_folder

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


@pytest.mark.parametrize(
    "body", [b"", b"noise", b"\x80\x04garbage", bytes(4096)], ids=["empty", "text", "pickle", "zeros"]
)
@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
def test_kept_code_that_cannot_be_read_is_compiled_anew(kind: str, body: bytes, archive: Path, tmp_path: Path) -> None:
    assert loaded(archive, tmp_path / "cache") == (0, 2)
    kept = list((tmp_path / "cache").rglob(kind))
    assert kept
    for file in kept:
        file.write_bytes(body)
    hits, misses = loaded(archive, tmp_path / "cache")
    assert hits + misses == 2
    assert loaded(archive, tmp_path / "cache") == (2, 0)


def test_kept_code_with_a_flipped_bit_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFS_CACHE_DIR", str(tmp_path))
    code = code_folder.find_code_folder() / "module" / "loop.1.nbc"
    code.parent.mkdir(parents=True)
    code.write_bytes(b"machine code")
    assert not code_folder.has_compiled_code()
    assert code_folder.mark_compiled()
    assert code_folder.has_compiled_code()
    (code.parent / "another.1.nbc").write_bytes(b"of another processor")
    assert code_folder.has_compiled_code()
    code.write_bytes(b"machine cOde")
    assert not code_folder.has_compiled_code()
    assert not code.exists()


def test_a_user_without_a_home_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "OFS_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where no passwd entry is
    assert not code_folder.has_compiled_code()
    assert not code_folder.mark_compiled()
