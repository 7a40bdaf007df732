"""What a refusal says a person must do is at a real place, and is enough: the edit is made there, and the refusal is gone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark.foundation.codes import CODES
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.integration.test_refusals import CASES, FOUR
from tests.integration.test_validate import REFUSED_ALONE
from tests.integration.test_validate_as_build import BY_PLACE, PIECES, change_intent, edit_intent
from tests.spec.tables.windows import world
from tests.worlds.command import run_command
from tests.worlds.sabotage import SABOTAGES
from tests.worlds.writer import Layout, Written, write_world

SEVERAL = Layout(rows_per_segment=1)
EDITS: dict[str, Callable[[Written], object]] = {
    **{name: damage for name, (damage, _) in SABOTAGES.items()},
    **{f"intent {name}": change_intent(**members) for name, members in REFUSED_ALONE.items()},
    **{f"place {name}": edit_intent(*changes) for name, (changes, _, _) in BY_PLACE.items() if name != "two kinds"},
    **{f"piece {name}": damage for name, damage in PIECES.items()},
}
"""What is done to a good world; a copy of it that nothing was done to says what is right."""


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM, and no wiring of whoever runs the tests."""
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
    monkeypatch.delenv("OFS_WIRING", raising=False)


def ask(*line: str) -> dict[str, Any]:
    """The one object that a command answers."""
    told: dict[str, Any] = json.loads(run_command("--json", "--quiet", *line).stdout.splitlines()[-1])
    return told


def build(written: Written) -> dict[str, Any]:
    return ask("--wiring", str(written.wiring), "build", str(written.intent))


def read(path: Path) -> Any:
    return json.loads(path.read_bytes()) if path.suffix == ".json" else yaml.safe_load(path.read_bytes())


def write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document) if path.suffix == ".json" else yaml.safe_dump(document, sort_keys=False))


def find_parent(document: Any, pointer: str) -> tuple[Any, str]:
    """What holds the place of a pointer, and its last part; KeyError or IndexError where the pointer leads nowhere."""
    *parts, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in parts:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document, last


NOTHING = object()
"""Where nothing stands; a null is something."""


def find_value(path: Path, pointer: str) -> Any:
    """What stands at a place: of a whole file its bytes; NOTHING where nothing does."""
    if not path.exists():
        return NOTHING
    if not pointer:
        return path.read_bytes()
    try:
        parent, last = find_parent(read(path), pointer)
        return parent[int(last)] if isinstance(parent, list) else parent[last]
    except (KeyError, IndexError):
        return NOTHING


def restore(path: Path, twin: Path, pointer: str) -> None:
    """Makes the place in one file what it is in another: the edit that `do` asks for."""
    if not pointer or not path.exists():
        path.write_bytes(twin.read_bytes())
        return
    document, good = read(path), find_value(twin, pointer)
    parent, last = find_parent(document, pointer)
    place: Any = int(last) if isinstance(parent, list) else last
    if good is NOTHING:
        del parent[place]  # what should not be there at all
    else:
        parent[place] = good
    write(path, document)


def mend(told: dict[str, Any], written: Written, home: Path, twin: Path) -> None:
    """Does what `do` says at its place; where that is as it should be, the other thing that `do` names."""
    path, pointer = require_place(told, home)
    whole = told["code"] in WHOLE or path.suffix == ".parquet"
    if find_value(path, pointer) != find_value(twin / path.relative_to(home), pointer):
        restore(path, twin / path.relative_to(home), "" if whole else pointer)
        if path.suffix == ".parquet":  # and the document that states its bytes is written anew
            for named in (written.index, written.label_extract):
                restore(named, twin / named.relative_to(home), "")
        return
    refs = [home / root / told["details"].get("ref", "") for root in ("objects", "profiles")]
    other = next((one for one in (*refs, written.index) if not one.is_dir() and differs(one, home, twin)), None)
    if other is None:
        restore(written.intent, twin / written.intent.relative_to(home), "/feature_definition_set")
        change_intent(request_id="mended.set")(written)
    else:
        restore(other, twin / other.relative_to(home), "")


def differs(path: Path, home: Path, twin: Path) -> bool:
    other = twin / path.relative_to(home)
    return other.exists() and (not path.exists() or path.read_bytes() != other.read_bytes())


def require_place(told: dict[str, Any], home: Path) -> tuple[Path, str]:
    """(file, pointer) of `do`: inside the world, and real; the file may be what is missing."""
    done = told["do"]
    path, pointer = Path(done["file"]), done.get("pointer", "")
    assert path.is_relative_to(home), done
    assert path.exists() or not pointer
    if pointer:
        find_parent(read(path), pointer)
    return path, pointer


@pytest.mark.parametrize("name", EDITS)
def test_what_is_done_where_it_is_told_is_enough(name: str, tmp_path: Path) -> None:
    """Place after place, until the dataset stands; what `next` says is run after each, and has got past the place."""
    home, twin = tmp_path / 'a "wörld"', tmp_path / "twin"
    written = write_world(world(FOUR), home, SEVERAL)
    write_world(world(FOUR), twin, SEVERAL)
    EDITS[name](written)
    seen: list[tuple[str, ...]] = []
    told = build(written)
    while told["outcome"] == "REFUSED":
        place = (told["code"], *told["do"].values(), told["message"])
        assert place not in seen, "what was done did not help"
        seen.append(place)
        mend(told, written, home, twin)
        if "request_id" in told["do"]["text"]:
            change_intent(request_id=f"mended.request.{len(seen)}")(written)
        then = ask(*shlex.split(told["next"])[1:])
        assert (then.get("code"), then.get("message")) != (told["code"], told["message"])
        told = build(written)
    assert told["outcome"] in ("COMMITTED", "ALREADY_PUBLISHED")
    assert seen or name in TOLD_ALOUD


WHOLE = {"ARCHIVE_INDEX_INVALID", "LABEL_STORE_UNAVAILABLE", "FEATURE_PROFILE_MISMATCH"}
"""Documents that are written anew, or restored, as a whole."""
TOLD_ALOUD = {"piece marker"}
"""Refused for training alone."""


@pytest.mark.parametrize("name", CASES)
def test_what_the_data_shows_is_mended_at_a_place_too(name: str, tmp_path: Path) -> None:
    """Whatever a world of the suite is refused for, `do` names a file that people have, and a place that it has."""
    made, code = CASES[name]
    written = write_world(made, tmp_path)
    told = build(written)
    assert told["code"] == code
    path, pointer = require_place(told, tmp_path)
    if CODES[code].pointer == pointer == "/non_training_allowed":
        change_intent(non_training_allowed=True, request_id="mended.request.0")(written)
        assert build(written).get("code") != code
    assert path.suffix in (".json", ".yaml", ".parquet")
