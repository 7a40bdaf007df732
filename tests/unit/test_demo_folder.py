"""The demo's folder: an unfinished world is made anew, another's folder is never touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from ofs_spark.demo import command as tour
from ofs_spark.foundation.errors import Refusal


def heard(folder: Path, payments: int = 1_000) -> list[str]:
    """What is announced while the world is made or found."""
    told: list[str] = []
    tour._prepare_world(folder, 7, payments, lambda _room, doing: told.append(doing))
    return told


def test_an_unfinished_world_is_made_anew_and_a_finished_one_found(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    (folder / tour.MARK).touch()
    (folder / "half").write_text("a file of an interrupted demo")
    assert "starts over" in heard(folder)[0]
    assert not (folder / "half").exists()
    assert heard(folder) == [f"finds its world in {folder}"]
    with pytest.raises(Refusal, match="another demo world"):
        heard(folder, 2_000)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("not ours")
    with pytest.raises(Refusal, match="neither empty nor a demo world"):
        heard(tmp_path)
    assert (tmp_path / "theirs").read_text() == "not ours"
