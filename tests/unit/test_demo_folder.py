"""The demo's folder: an unfinished world is made anew, another's folder is never touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ofs_spark.demo import command as tour
from ofs_spark.foundation.commands import Next
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


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b"{}", b'{"asked": {}, "paths": [], "counts": 1, "redelivery": 2}', b"\xff\xfe"]
)
def test_a_record_that_no_demo_wrote_is_told(body: bytes, tmp_path: Path) -> None:
    (tmp_path / tour.FACTS).write_bytes(body)
    with pytest.raises(Refusal, match=r"demo\.json") as caught:
        heard(tmp_path)
    assert caught.value.code == "ENVIRONMENT_UNFIT"
    assert (tmp_path / tour.FACTS).read_bytes() == body


def test_the_world_of_an_earlier_release_is_told_with_what_to_do(tmp_path: Path) -> None:
    """One that was made before the demo had an online plane: it is left as it is, and a new folder is named."""
    folder = tmp_path / "world"
    heard(folder)
    known = json.loads((folder / tour.FACTS).read_bytes())
    older = {**known, "paths": {name: known["paths"][name] for name in ("objects", "wiring", "training", "explore")}}
    (folder / tour.FACTS).write_text(json.dumps(older))
    with pytest.raises(
        Refusal, match=r"the demo world of another release .*anchors, forensic, .*remove this one"
    ) as caught:
        heard(folder)
    assert caught.value.code == "ENVIRONMENT_UNFIT"
    assert caught.value.next_command == Next("demo", ("--folder", str(tmp_path / "world-2")))
    assert json.loads((folder / tour.FACTS).read_bytes()) == older
