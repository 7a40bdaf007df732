"""An import's folder is whole or recognisably not; whatever ends it early leaves nothing; nobody else's folder is touched."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.ends import Stopped, WrongArgument
from ofs_spark.foundation.errors import Refusal
from ofs_spark.intake import command
from ofs_spark.intake.folder import MARK
from tests.unit.intake.worlds import hash_files, run_import, write_text

AT = "2026-02-10T10:00:00Z"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return write_text(tmp_path / "e.csv", f"id,at\na,{AT}\nb,nothing\n")


def test_twice_is_the_same_to_the_byte(events: Path, tmp_path: Path) -> None:
    run_import(tmp_path / "one", events)
    (tmp_path / "two").mkdir()
    run_import(tmp_path / "two", events)
    assert hash_files(tmp_path / "one") == hash_files(tmp_path / "two")
    assert {"wiring.yaml", "intent.json", "rejected.jsonl", "profiles/starter.yaml"} <= set(
        hash_files(tmp_path / "one")
    )
    assert not (tmp_path / "one" / MARK).exists()


def test_a_folder_that_holds_anything_else_is_left_alone(events: Path, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    write_text(folder / "theirs", "x")
    with pytest.raises(WrongArgument, match="is not empty: there is theirs"):
        run_import(folder, events)
    assert os.listdir(folder) == ["theirs"]


def test_a_whole_import_is_never_replaced(events: Path, tmp_path: Path) -> None:
    made = run_import(tmp_path / "world", events)
    before = hash_files(made.root)
    with pytest.raises(WrongArgument, match="It holds a whole import already"):
        run_import(made.root, events)
    assert hash_files(made.root) == before


@pytest.mark.parametrize("place", ["e.csv", "e.csv/world", "bad\0name"])
def test_a_place_where_no_folder_can_be(place: str, events: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongArgument, match="cannot be the folder of an import"):
        run_import(tmp_path / place, events)
    assert os.listdir(tmp_path) == ["e.csv"]


def test_a_place_where_no_table_can_be_is_told_as_a_build_tells_it(events: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="Delta writes no table there"):
        run_import(tmp_path / "back\\slash" / "world", events)
    assert os.listdir(tmp_path) == ["e.csv"]


@pytest.mark.parametrize(
    "error", [Stopped(), KeyboardInterrupt(), MemoryError(), OSError(28, "No space left on device")]
)
@pytest.mark.parametrize("step", ["judge_events", "write_segments", "compose_starter", "read_profile"])
def test_whatever_ends_it_early_leaves_nothing(
    error: BaseException, step: str, events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(command, step, fail)
    with pytest.raises(type(error)):
        run_import(tmp_path / "new" / "world", events)
    assert not (tmp_path / "new").exists()
    monkeypatch.undo()
    assert run_import(tmp_path / "new" / "world", events).answer["events"] == 1


def test_what_a_killed_import_left_is_replaced(events: Path, tmp_path: Path) -> None:
    whole = run_import(tmp_path / "whole", events)
    left = tmp_path / "left"
    shutil.copytree(whole.root, left)
    (left / MARK).mkdir()
    write_text(left / MARK / "events.arrow", "half")
    shutil.copytree(left / whole.answer["platform_run_id"], left / "platform_20200101T000000Z")
    for name in ("intent.json", "wiring.yaml"):
        (left / name).unlink()
    run_import(left, events)
    assert hash_files(left) == hash_files(whole.root)


def test_what_others_put_beside_a_killed_import_is_left_alone(events: Path, tmp_path: Path) -> None:
    (tmp_path / "world" / MARK).mkdir(parents=True)
    write_text(tmp_path / "world" / "notes.txt", "mine")
    with pytest.raises(WrongArgument, match=r"is not empty: there is notes\.txt"):
        run_import(tmp_path / "world", events)
    assert (tmp_path / "world" / "notes.txt").read_text() == "mine"


def test_two_imports_never_share_a_folder(events: Path, tmp_path: Path) -> None:
    (tmp_path / "world" / MARK).mkdir(parents=True)
    with (tmp_path / "world" / MARK / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WrongArgument, match="another import is writing"):
            run_import(tmp_path / "world", events)
    assert (tmp_path / "world" / MARK / "lock").exists()
    assert run_import(tmp_path / "world", events).answer["events"] == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_midway(number: int, status: int, tmp_path: Path) -> None:
    """Ctrl-C ends in order and leaves nothing; a kill leaves what the next import replaces."""
    pipe_rows = "".join(f"e{row},{AT},{'x' * 200}\n" for row in range(400_000))
    path, folder = write_text(tmp_path / "e.csv", "id,at,note\n" + pipe_rows), tmp_path / "world"
    line = [sys.executable, "-m", "ofs_spark.cli", "--quiet", "import", str(folder), "--events", str(path)]
    line += ["--id", "id", "--time", "at", "--type-is", "payment"]
    with subprocess.Popen(line, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 120
        while not (folder / MARK / "events.arrow").exists() and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate()
    assert process.returncode == status
    assert folder.exists() == (number == signal.SIGKILL)
    if folder.exists():
        assert not (folder / "wiring.yaml").exists()
        assert not (folder / "intent.json").exists()
    short = write_text(tmp_path / "short.csv", f"id,at\na,{AT}\n")
    assert run_import(folder, short).answer["events"] == 1
