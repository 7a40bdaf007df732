"""What people read fits their terminal, and nothing they would copy is cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import console as progress

ROOT = Path(__file__).parents[2]
MANIFEST = json.loads((ROOT / "contracts/examples/valid/learning.dataset_manifest.v1/training_ready.json").read_text())


@pytest.fixture(params=[60, 80, 200])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_an_answer_is_whole_at_every_width(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    digest = "91a15221453492c88976efdc80f34866f616f2a0ab976ed2111260f7b053c15e"
    progress.print_answer({"content_digest": digest, "warnings": [], "report_ref": None, "markup": "[bold]x[/bold]"})
    shown = lines(capsys)
    assert max(map(len, shown)) <= width
    assert digest in "".join(line.split("content_digest")[-1].strip() for line in shown)
    assert any("[bold]x[/bold]" in line for line in shown)  # data is not markup


@pytest.mark.usefixtures("width")
def test_a_manifest_is_told_in_its_main_facts(capsys: pytest.CaptureFixture[str]) -> None:
    progress.print_manifest(MANIFEST)
    text = "".join(line.strip() for line in lines(capsys))
    assert MANIFEST["materialization"]["content_digest"] in text.replace(" ", "")


def test_a_failed_check_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"name": "contract", "ok": True, "found": "valid", "expected": "valid"}
    bad = {"name": "table", "ok": False, "found": "[1]", "expected": "[2]"}
    progress.print_checks({"verified": False, "checks": [good, bad]})
    assert lines(capsys) == [
        "ok      contract", "FAILED  table", "        found    [1]", "        expected [2]", "",
        "NOT verified: 1 of 2 checks",
    ]  # fmt: skip


@pytest.mark.parametrize("events", [[], [{"at": 0, "before": None, "after": "QUEUED", "reason": "REQUESTED"}]])
def test_runs_are_told_in_a_line_each(events: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    run = {"run_key": "a" * 32, "state": "DONE", "outcome": "COMMITTED", "request_id": "request.one"}
    progress.print_status({**run, "events": events} if events else {"runs": [run]})
    shown = lines(capsys)
    assert shown[0].split() == ["a" * 32, "DONE", "COMMITTED", "request.one"]
    assert shown[1:] == (["  1970-01-01T00:00:00.000000Z  — → QUEUED  REQUESTED"] if events else [])
