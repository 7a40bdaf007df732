"""The documents say what the code does: every code in the runbook, every link to something that is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ofs_spark.foundation.codes import CODES

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


def test_the_runbook_holds_exactly_the_codes_of_the_table_with_their_meanings() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| (yes|no) \|$", RUNBOOK, re.MULTILINE)
    told = {code: (meaning, again == "yes") for code, meaning, _, again in rows}
    meanings = {name: f"reserved: {code.meaning}" if code.reserved else code.meaning for name, code in CODES.items()}
    assert told == {name: (meanings[name], code.retryable) for name, code in CODES.items()}
    assert len(rows) == len(told)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["profile_reference.py", "runbook_codes.py"])
def test_a_written_page_is_what_the_code_says(name: str) -> None:
    script = ROOT / "scripts" / name
    assert subprocess.run([sys.executable, str(script), "--check"], check=False).returncode == 0, f"run {script}"
