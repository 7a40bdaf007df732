"""What people read fits their terminal, reaches it as text alone, and nothing they would copy is broken."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import console

ROOT = Path(__file__).parents[2]
MANIFEST = json.loads((ROOT / "contracts/examples/valid/learning.dataset_manifest.v1/training_ready.json").read_text())
DATASET = "dm_" + "b" * 32
TIMES = {"started_at_utc": "2026-02-10T13:07:00.000000Z", "ended_at_utc": None}
RUN = {
    "run_key": "a" * 32,
    "state": "DONE",
    "outcome": "COMMITTED",
    "attempts": 1,
    "request_id": "request.one",
    "dataset_manifest_id": DATASET,
    **TIMES,
}
DIGEST = "91a15221453492c88976efdc80f34866f616f2a0ab976ed2111260f7b053c15e"
REFUSAL = {"code": "SCHEMA_INVALID", "room": "intent", "details": {}, "next": "ofs status"}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """One that shows colours, whatever the terminal of this test run is."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


@pytest.fixture(params=[60, 80, 200])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("width")
def test_an_answer_is_whole_at_every_width() -> None:
    stream = Terminal()
    console.print_answer({"content_digest": DIGEST, "warnings": [], "markup": "[bold]x[/bold]"}, stream)
    shown = stream.getvalue()
    assert DIGEST in shown
    assert "[bold]x[/bold]" in shown  # data is not markup


def test_a_table_fits_every_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    request_id = "request." + "x" * 90 + ".0001"
    run = {**RUN, "run_key": "short", "request_id": request_id}
    stream = Terminal()
    console.print_status({"runs": [run]}, stream)
    shown = stream.getvalue().splitlines()
    assert max(map(len, shown[:2])) <= max(width, 66)  # with every cell at its least
    assert (request_id in shown[1]) is (width == 200)
    assert shown[1].endswith("001")  # the end is what tells ids apart


def test_an_id_is_cut_after_its_first_digits_which_every_command_takes(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    run_key, dataset = "0123456789abcdef" * 2, "dm_" + "0123456789abcdef" * 2
    console.print_status({"runs": [{**RUN, "run_key": run_key, "dataset_manifest_id": dataset}]}, stream)
    row = stream.getvalue().splitlines()[1].split()
    assert (len(row[0]) < 32) is (width < 200)
    assert (run_key[: len(row[0])], len(row[0]) >= 10) == (row[0], True)
    assert (dataset[: len(row[4])], len(row[4]) >= 13) == (row[4], True)


@pytest.mark.usefixtures("width")
def test_without_a_terminal_nothing_is_cut_whatever_columns_says(capsys: pytest.CaptureFixture[str]) -> None:
    long = {"request_id": "r" * 128, "outcome": "o" * 60}
    console.print_status({"runs": [{**RUN, **long}], "total": 2}, program="ofs")
    row = lines(capsys)[1].split()
    assert row == ["a" * 32, "2026-02-10T13:07Z", "DONE", "o" * 60, DATASET, "r" * 128]


@pytest.mark.usefixtures("width")
def test_a_manifest_is_told_in_its_main_facts(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_manifest(MANIFEST)
    assert MANIFEST["materialization"]["content_digest"] in capsys.readouterr().out


def test_a_failed_check_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"name": "contract", "ok": True, "found": "valid", "expected": "valid"}
    bad = {"name": "table", "ok": False, "found": "[1]", "expected": "[2]"}
    console.print_checks({"verified": False, "checks": [good, bad]})
    assert lines(capsys) == [
        "ok      contract", "FAILED  table", "        found    [1]", "        expected [2]", "",
        "NOT verified: 1 of 2 checks",
    ]  # fmt: skip


@pytest.mark.parametrize("events", [[], [{"at": 0, "before": None, "after": "QUEUED", "reason": "REQUESTED"}]])
def test_runs_are_told_in_a_line_each(events: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    console.print_status({**RUN, "events": events} if events else {"runs": [RUN]})
    shown = lines(capsys)
    if not events:
        assert shown[0].split() == ["RUN", "STARTED", "STATE", "OUTCOME", "DATASET", "REQUEST"]
        assert shown[1].split() == ["a" * 32, "2026-02-10T13:07Z", "DONE", "COMMITTED", DATASET, "request.one"]
        assert shown[2:] == []
        return
    assert shown == [
        *(f"run       {'a' * 32}", "request   request.one", "state     DONE", "outcome   COMMITTED", "attempts  1"),
        *(f"dataset   {DATASET}", "started   2026-02-10T13:07:00.000000Z", "ended     —", ""),
        "AT                           CHANGE      REASON",
        "1970-01-01T00:00:00.000000Z  — → QUEUED  REQUESTED",
    ]


def test_columns_are_aligned_by_what_a_terminal_shows(capsys: pytest.CaptureFixture[str]) -> None:
    """A wide character takes two columns, a combining one none."""
    console.print_status({"runs": [{**RUN, "outcome": "決定"}, {**RUN, "outcome": "u\u0308"}, RUN]})
    starts = [line.index("request.one") for line in lines(capsys)[1:]]
    assert starts == [starts[2] - 2, starts[2] + 1, starts[2]]


def test_an_empty_ledger_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_status({"runs": []})
    assert lines(capsys) == ["the ledger holds no run"]


LISTED = {
    "dataset_manifest_id": DATASET,
    "status": "TRAINING_READY",
    "rows": 1,
    "feature_set": "card_fraud@v3",
    "label_asof_utc": "2026-03-12T00:00:00Z",
    "committed_at_utc": "2026-03-13T07:10:11.000000Z",
    "table_path": f"/srv/objects/{DATASET}",
    "table_ref": DATASET,
    "superseded_by": None,
}


@pytest.mark.usefixtures("width")
def test_datasets_are_told_in_a_line_each_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    superseded = {
        **LISTED,
        "superseded_by": "dm_" + "c" * 32,
        "rows": 1_204_000,
        "label_asof_utc": "2026-03-12T05:06:00Z",
    }
    gone = dict.fromkeys(("rows", "feature_set", "label_asof_utc", "table_ref"))
    absent = {**LISTED, **gone, "status": "ABSENT", "table_path": None}
    console.print_datasets({"datasets": [LISTED, superseded, absent], "total": 4})
    shown = [line.split() for line in lines(capsys)]
    built = "2026-03-13T07:10Z"
    assert shown[1] == [DATASET, "TRAINING_READY", "1", "card_fraud@v3", "2026-03-12", built, LISTED["table_path"]]
    assert shown[2][1:5] == ["SUPERSEDED", "1,204,000", "card_fraud@v3", "2026-03-12T05:06Z"]
    assert shown[3] == [DATASET, "ABSENT", "—", "—", "—", built, "—"]
    assert " ".join(shown[5]) == "and 1 older dataset; all of them: ofs datasets --all"
    console.print_datasets({"datasets": [], "total": 0})
    assert lines(capsys) == ["the ledger knows no dataset"]


def test_a_path_that_does_not_fit_stands_below_its_row(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    console.print_datasets({"datasets": [LISTED], "total": 1}, stream)
    shown = stream.getvalue().splitlines()
    assert ([line for line in shown if line == f"  {LISTED['table_path']}"] == []) is (width == 200)
    assert len(shown[1]) <= max(width, 80)


HOSTILE = "\x1b[31mred\x1b[0m\r\x07\x9b2J\u202e\u2028\nnew line\ud800\x00"


def hostile_prints(stream: io.TextIOBase) -> None:
    """Every function that prints for people, on one stream, with a hostile text wherever a document has one."""
    check = {"name": HOSTILE, "ok": False, "found": HOSTILE, "expected": HOSTILE}
    event = {"at": 0, "before": HOSTILE, "after": HOSTILE, "reason": HOSTILE}
    faults = [{"pointer": HOSTILE, "code": HOSTILE, "message": HOSTILE}]
    out: Any = stream
    console.print_answer({"text": HOSTILE, "list": [HOSTILE, {"a": HOSTILE}], "object": {"a": HOSTILE}}, out)
    console.print_checks({"verified": False, "checks": [check]}, out)
    console.print_manifest({**MANIFEST, "platform_run_id": HOSTILE, "plan_id": HOSTILE}, out)
    console.print_status({**RUN, "request_id": HOSTILE, "events": [event]}, out)
    console.print_datasets({"datasets": [{**LISTED, "table_path": HOSTILE, "feature_set": HOSTILE}], "total": 2}, out)
    console.print_where({"wiring": HOSTILE, "chosen_by": "flag", "object_root": HOSTILE}, out)
    console.print_refusal({**REFUSAL, "message": HOSTILE, "details": {"faults": faults, "a": HOSTILE}}, out)
    console.print_usage_error(HOSTILE, "usage: ofs", out)
    difference = {"key": HOSTILE, "field": HOSTILE, "expected": HOSTILE, "rebuilt": HOSTILE}
    explained = {"causes": [{"cause": HOSTILE, "detail": HOSTILE}], "proven": False}
    result: dict[str, Any] = dict.fromkeys(("outcome", "category", "anchor_ref", "reason"), HOSTILE)
    result |= {"differences": [difference], "explanation": explained}
    console.print_demo({"a": HOSTILE}, {"b": HOSTILE}, [result], [HOSTILE], out)
    console.print_parity({"outcome": HOSTILE, "results": [result]}, out)
    with console.Progress(out) as progress:
        progress("intent", HOSTILE)


def test_no_control_character_reaches_the_stream() -> None:
    stream = io.StringIO()
    hostile_prints(stream)
    shown = stream.getvalue()
    assert {char for char in shown if not char.isprintable()} == {"\n"}
    assert r"\x1b[31mred\x1b[0m\r\x07\x9b2J\u202e\u2028\nnew line\ud800\x00" in shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_stream_can_be_printed_on(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)  # errors are strict
    hostile_prints(stream)
    stream.flush()
    raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_the_sign_of_a_cut_is_one_that_the_stream_has(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    console.print_status({"runs": [{**RUN, "request_id": "Zürich→東京" * 20}]}, stream)
    stream.flush()
    table = raw.getvalue().decode(encoding).splitlines()[:2]
    assert max(map(len, table)) <= 80
    assert ("…" in table[1]) is (encoding in ("cp1252", "utf-8"))


def test_colours_are_for_terminals(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    console.print_answer({"outcome": "COMMITTED"}, terminal)
    assert terminal.getvalue() == "\x1b[1moutcome\x1b[0m  COMMITTED\n"
    console.print_answer({"outcome": "COMMITTED"})
    assert lines(capsys) == ["outcome  COMMITTED"]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_turned_off(name: str, value: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    console.print_refusal({**REFUSAL, "message": "m"}, terminal)
    assert terminal.getvalue() == "SCHEMA_INVALID (intent): m\nnext:  ofs status\n"


def test_a_long_list_says_how_much_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_answer({"warnings": [f"w{n}" for n in range(25)]})
    shown = lines(capsys)
    assert (len(shown), shown[-1].strip()) == (21, "… and 5 more")
