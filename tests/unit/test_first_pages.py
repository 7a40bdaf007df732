"""The pages that a stranger reads first say what this release does."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from ofs_spark.foundation import contracts
from ofs_spark.foundation.strict_yaml import parse_yaml
from ofs_spark.io.adapters import BUSES, LABEL_STORES
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.pins.profile.aggregates import AGGREGATES, OPERATIONS_NOT_YET
from ofs_spark.pins.profile.compile import read_profile

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_code() -> None:
    page = read("limits.md")
    absent = {name for name, one in AGGREGATES.items() if not one.computed} | set(OPERATIONS_NOT_YET)
    (row,) = re.findall(r"^\| aggregates (.*?) \| lists", page, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == absent
    assert {name for name, one in BUSES.items() if one is None} == {"file", "kafka", "kinesis"}
    assert {name for name, one in LABEL_STORES.items() if one is None} == {"postgres"}


def test_every_variable_of_the_environment_is_told() -> None:
    own = {path for room in ("ofs_spark", "conf", "jobs") for path in (ROOT / room).rglob("*") if path.is_file()}
    texts = (path.read_text(encoding="utf-8") for path in own if path.suffix in (".py", ".yaml", ".conf"))
    named = {name for text in texts for name in re.findall(r"\bOFS_[A-Z_]+\b", text)}
    assert named <= set(re.findall(r"`(OFS_[A-Z_]+)`", read("wiring.md")))


def test_the_wiring_page_shows_a_wiring_and_every_policy_file() -> None:
    page = read("wiring.md")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert contracts.find_faults(parse_yaml(shown.encode(), what="the page"), "wiring") == []
    stated = set(re.findall(r"^\| `(\w+\.yaml)`", page, re.MULTILINE))
    assert stated == {path.name for path in (ROOT / "conf" / "policy").iterdir()}


def test_the_group_of_the_page_compiles(tmp_path: Path) -> None:
    group, chosen = re.findall(r"   ```yaml\n(.*?)   ```", read("add-a-feature.md"), re.DOTALL)
    sets = dedent(chosen).replace(", terminal@v2", "")
    text = f"policy_id: page\nrevision: r1\nfeature_sets:\n{sets}feature_groups:\n{dedent(group)}"
    (tmp_path / "card_fraud.yaml").write_text(text, encoding="utf-8")
    program = read_profile(LocalObjects.at(tmp_path), "card_fraud", "v4").program
    assert [column.name for column in program.feature_columns] == [
        "customer__count_24h", "customer__largest_24h", "customer__declined_24h"
    ]  # fmt: skip
