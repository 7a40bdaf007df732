"""Where a command is: its first line, every answer and every refusal name the wiring, what named it and the object root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ofs_spark import console
from ofs_spark.foundation.contracts import find_faults
from tests.worlds.command import Result, run_command
from tests.worlds.published import Shelf, make_shelf

DATASET = "dm_" + "1" * 32


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.delenv("OFS_WIRING", raising=False)
    return make_shelf(tmp_path / "a plane")


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wiring that is read where nobody names one, as it is in a checkout: it points at nothing."""
    monkeypatch.delenv("OFS_WIRING", raising=False)
    folder = tmp_path / "checkout" / "conf"
    (folder / "wiring").mkdir(parents=True)
    source = Path(__file__).resolve().parents[2] / "conf" / "wiring" / "local.yaml"
    (folder / "wiring" / "local.yaml").write_bytes(source.read_bytes())
    monkeypatch.setattr("ofs_spark.foundation.wiring.find_conf_root", lambda: folder)
    return folder / "wiring" / "local.yaml"


def last(result: Result) -> dict[str, Any]:
    return dict(json.loads(result.stdout.splitlines()[-1]))


def test_an_answer_says_what_named_the_wiring(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(shelf.wiring.parent / "objects")
    by_flag = last(run_command("--wiring", str(shelf.wiring), "--json", "status"))
    assert by_flag["where"] == {"wiring": str(shelf.wiring), "chosen_by": "flag", "object_root": root}
    monkeypatch.setenv("OFS_WIRING", str(shelf.wiring))
    assert last(run_command("--json", "status"))["where"] == {**by_flag["where"], "chosen_by": "environment"}
    by_both = last(run_command("--wiring", str(shelf.wiring), "--json", "status"))
    assert by_both == by_flag


@pytest.mark.parametrize("arguments", [("status",), ("datasets",), ("show", DATASET), ("cancel", "0" * 32)])
def test_the_first_line_for_people_says_where(arguments: tuple[str, ...], shelf: Shelf) -> None:
    shelf.publish(1, DATASET)
    told = run_command(*arguments, "--wiring", str(shelf.wiring))
    expected = f"wiring {shelf.wiring} (by --wiring), objects in {shelf.wiring.parent / 'objects'}"
    assert told.stderr.splitlines()[0] == expected
    assert run_command(*arguments, "--quiet", "--wiring", str(shelf.wiring)).stderr.count(expected) == (
        arguments[0] == "cancel"  # a refusal names it whatever was asked
    )


def test_a_refusal_says_where_before_and_after_the_wiring_was_read(shelf: Shelf, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no.yaml")
    unread = last(run_command("--json", "--wiring", nowhere, "status"))
    assert unread["where"] == {"wiring": nowhere, "chosen_by": "flag"}
    told = last(run_command("--json", "--wiring", str(shelf.wiring), "show", DATASET))
    assert (told["code"], told["where"]["object_root"]) == ("RUN_NOT_FOUND", str(shelf.wiring.parent / "objects"))
    for document in (unread, told):
        assert find_faults(document, "refusal_answer") == []
    page = run_command("--quiet", "--wiring", str(shelf.wiring), "show", DATASET).stderr
    assert f"where: {console.show_where(told['where'])}" in page


def test_a_root_that_came_from_the_environment_is_not_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_ROOT", str(shelf.wiring.parent / "objects"))
    document = yaml.safe_load(shelf.wiring.read_text())
    document["objects"]["root"] = "${SECRET_ROOT}"
    shelf.wiring.write_text(yaml.safe_dump(document))
    shelf.publish(1, DATASET)
    told = run_command("--wiring", str(shelf.wiring), "--json", "datasets")
    assert last(told)["where"] == {"wiring": str(shelf.wiring), "chosen_by": "flag"}
    assert last(told)["datasets"][0]["table_path"] is None
    assert str(shelf.wiring.parent / "objects") not in told.stdout + told.stderr


@pytest.mark.parametrize("command", [("status",), ("datasets",), ("gc",), ("show", DATASET), ("verify", DATASET)])
def test_a_default_wiring_that_points_at_nothing_says_so_and_what_helps(
    command: tuple[str, ...], default: Path, tmp_path: Path
) -> None:
    refused = run_command("--json", "--quiet", *command)
    told = last(refused)
    assert (refused.exit_code, told["code"], told["next"]) == (80, "ENVIRONMENT_UNFIT", "ofs demo")
    root = tmp_path / "checkout" / "ofs-root"
    assert told["where"] == {"wiring": str(default), "chosen_by": "default", "object_root": str(root)}
    assert "the default one points at nothing" in told["message"]
    assert ("`ofs demo`" in told["do"]["text"], "`ofs init DIR`" in told["do"]["text"]) == (True, True)
    assert not root.exists()


def test_a_root_that_a_named_wiring_lacks_is_no_case_for_a_demo(shelf: Shelf) -> None:
    (shelf.wiring.parent / "objects").rmdir()
    told = last(run_command("--json", "--wiring", str(shelf.wiring), "status"))
    assert (told["code"], told["next"]) == ("ENVIRONMENT_UNFIT", f"ofs --json --wiring '{shelf.wiring}' status")
    assert not (shelf.wiring.parent / "objects").exists()
