"""The pages people read, compared with golden files: without a terminal, and on one of 80 and of 120 columns.

After a wanted change: `pytest tests/unit/test_console_golden.py --rebuild-golden`, then read the diff.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import console

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "console"
MANIFEST = ROOT / "contracts" / "examples" / "valid" / "learning.dataset_manifest.v1" / "training_ready.json"
DATASETS = ROOT / "contracts" / "examples" / "valid" / "datasets_answer" / "four.json"

Print = Callable[[Any, io.StringIO], None]
REFUSING = ("intent", "pins", "labels", "features", "publish", "parity", "environment")
"""Rooms whose refusals have a page each, beside the one of `replay`."""
PAGES: dict[str, tuple[Path, Print]] = {
    "cancel": (GOLDEN / "cancel.json", console.print_cancel),
    "ledger_list": (GOLDEN / "ledger_list.json", console.print_ledger_list),
    "ledger_show": (GOLDEN / "ledger_show.json", console.print_ledger_run),
    "build": (GOLDEN / "build.json", console.print_answer),
    "datasets": (DATASETS, console.print_datasets),
    "demo": (GOLDEN / "demo.json", lambda summary, stream: console.print_demo(**summary, stream=stream)),
    "explain": (GOLDEN / "explain.json", console.print_explanation),
    "explain_label": (GOLDEN / "explain_label.json", console.print_explanation),
    "explain_row": (GOLDEN / "explain_row.json", console.print_explanation),
    "failure_internal": (GOLDEN / "failure_internal.json", console.print_failure),
    "failure_interrupted": (GOLDEN / "failure_interrupted.json", console.print_failure),
    "forensic": (GOLDEN / "forensic.json", console.print_forensic),
    "gc": (GOLDEN / "gc.json", console.print_gc),
    "import": (GOLDEN / "import.json", console.print_import),
    "identity": (GOLDEN / "identity.json", console.print_answer),
    "parity": (GOLDEN / "parity.json", console.print_parity),
    "refusal": (GOLDEN / "refusal.json", console.print_refusal),
    **{f"refusal_{room}": (GOLDEN / f"refusal_{room}.json", console.print_refusal) for room in REFUSING},
    "show": (MANIFEST, console.print_manifest),
    "status": (GOLDEN / "status.json", console.print_status),
    "status_run": (GOLDEN / "status_run.json", console.print_status),
    "validate": (GOLDEN / "validate.json", console.print_validation),
    "verify": (GOLDEN / "verify.json", console.print_checks),
}
LEFT_OUT = ("where", "run_key", "parity", "reason", "outcome")
"""Members that some pages leave to `--json`."""
LONG_WORD = re.compile(r"[A-Za-z0-9_.:/=-]{12,}")
"""What people copy: ids, digests, refs, paths."""


MODES = {"": None, ".80": 80, ".120": 120}
"""How a golden file ends before its `.txt` → columns of the terminal, None where there is none."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def page(name: str, columns: int | None = None) -> str:
    path, show = PAGES[name]
    stream = io.StringIO() if columns is None else Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns or 60))  # without a terminal nobody asks
        patch.setenv("NO_COLOR", "1")
        show(json.loads(path.read_bytes()), stream)
    return stream.getvalue()


def texts(value: Any) -> Iterator[str]:
    """Every text of a document."""
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from texts(member)
    elif isinstance(value, str):
        yield value


def shown(name: str) -> Any:
    """What a page shows of its document: of a manifest its main facts, of a check that passed its name."""
    document = json.loads(PAGES[name][0].read_bytes())
    if name == "show":
        table = [document["materialization"][part] for part in ("path", "content_digest")]
        evidence = [one["ref"] for one in document["evidence"].values()]
        return [*table, *evidence, *(document[part] for part in ("dataset_manifest_id", "platform_run_id", "plan_id"))]
    if name == "ledger_list":
        return [[run[part] for part in ("run_key", "state")] for run in document["runs"]]
    if name == "ledger_show":
        return {part: value for part, value in document.items() if part != "last_answer"}
    if name in ("status", "datasets"):
        times = ("_at_utc", "label_asof_utc", "manifest_ref", "manifest_path", "table_ref", "superseded_by")
        lists = document["runs"] if name == "status" else document["datasets"]
        return [{part: value for part, value in one.items() if not part.endswith(times)} for one in lists]
    if name == "cancel":
        return {part: value for part, value in document.items() if part not in ("request_id", "outcome")}
    if name in ("parity", "forensic", "validate") or name.startswith("failure"):
        return {part: value for part, value in document.items() if part not in LEFT_OUT}
    if name.startswith("explain"):
        return {part: value for part, value in document.items() if part != "manifest_ref"}
    if name == "verify":
        return [check if not check["ok"] else check["name"] for check in document["checks"]]
    return document


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_the_golden_one(name: str, mode: str, request: pytest.FixtureRequest) -> None:
    file, shown = GOLDEN / f"{name}{mode}.txt", page(name, MODES[mode])
    if request.config.getoption("--rebuild-golden"):
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", ["status", "status_run", "ledger_list"])
def test_no_line_of_a_table_is_wider_than_the_terminal(name: str, columns: int) -> None:
    assert max(map(len, page(name, columns).splitlines())) <= columns


@pytest.mark.parametrize("name", ["build", "show", "demo", "verify"])
def test_a_wider_line_is_one_value_of_the_document(name: str) -> None:
    wider = [line for line in page(name).splitlines() if len(line) > 80]
    assert [line for line in wider if not any(line.endswith(f" {text}") for text in texts(shown(name)))] == []


@pytest.mark.parametrize("name", PAGES)
def test_without_a_terminal_what_people_copy_is_whole(name: str) -> None:
    text = page(name)
    copied = {one for one in texts(shown(name)) if LONG_WORD.fullmatch(one)}
    assert copied or name == "failure_internal"
    assert {one for one in copied if one not in text} == set()


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", PAGES)
def test_on_a_terminal_what_people_copy_is_whole_or_cut_as_ids_are_or_with_a_sign(name: str, columns: int) -> None:
    text = page(name, columns)
    ends = [word.split("…") for word in text.split() if "…" in word]
    missing = {one for one in texts(shown(name)) if LONG_WORD.fullmatch(one) and one not in text}
    assert not missing or name in ("status", "ledger_list", "datasets")  # only a table cuts
    for one in missing:
        begun = [word for word in text.split() if one.startswith(word) and len(word) >= 10]
        assert begun or any(one.startswith(a) and one.endswith(z) for a, z in ends), one


def test_a_cut_page_says_where_the_whole_values_are() -> None:
    assert page("status", 80).splitlines()[-1] == "… marks what was cut; whole: ofs --json status"
    assert "marks what was cut" not in page("status")
