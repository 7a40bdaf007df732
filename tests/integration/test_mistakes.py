"""The mistakes that newcomers made: each is told before anything is computed, at its place, with a step that works."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_footers import as_numbers, reshape
from tests.integration.test_refusals import FOUR
from tests.integration.test_validate_as_build import change_intent, change_profile
from tests.spec.tables.windows import world
from tests.worlds.command import run_command
from tests.worlds.model import label, slice_
from tests.worlds.sabotage import extract_part, rewrite
from tests.worlds.writer import Layout, Written, write_world

V1 = {"schema_version": "learning.ofs_build_intent.v1"}
SPLITS = {"by": "time", "train_until": "2026-02-10T00:00:00Z", "validation_until": "2026-02-11T00:00:00Z"}


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake that is only met where loops are compiled or an engine is started fails its test."""

    def refuse_to_compute(*_arguments: object) -> object:
        raise AssertionError("something would have been computed")

    monkeypatch.setattr("ofs_spark.workflow.loading.load_build_rooms", refuse_to_compute)
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", refuse_to_compute)
    for variable in ("OFS_WIRING", "OFS_POLICY"):
        monkeypatch.delenv(variable, raising=False)


@dataclass(frozen=True)
class Mistake:
    """What is done to a good world; the code; the file and the pointer where it is mended; words of the message."""

    damage: Callable[[Written], object]
    code: str
    file: Callable[[Written], Path]
    pointer: str
    words: tuple[str, ...]
    alone: bool = False
    """Whether `validate` of that file alone tells it too."""


def rename_label_column(written: Written) -> None:
    part = extract_part(written)
    reshape(part, written.label_extract, "files", lambda table: table.rename_columns(
        ["label_kind" if name == "label_type" else name for name in table.column_names]
    ))  # fmt: skip


MISTAKES: dict[str, Mistake] = {
    "a profile that does not compile": Mistake(
        change_profile(lambda top: top["feature_groups"][0]["features"][0].update(aggregate="median")),
        "FEATURE_PROFILE_UNRESOLVED",
        lambda w: w.profile,
        "/feature_groups/0/features/0/aggregate",
        ("median",),
        alone=True,
    ),
    "a profile that is no YAML": Mistake(
        lambda w: w.profile.write_text("a: [1"), "FEATURE_PROFILE_UNRESOLVED", lambda w: w.profile, "", ("line",)
    ),
    "a stale digest of the index": Mistake(
        lambda w: rewrite(w.index, lambda d: d["segments"].pop(), False),
        "ARCHIVE_INDEX_INVALID",
        lambda w: w.index,
        "/digest",
        ("states",),
        alone=True,
    ),
    "a stale digest of the extract": Mistake(
        lambda w: rewrite(w.label_extract, lambda d: d.update(marker="else"), False),
        "LABEL_STORE_UNAVAILABLE",
        lambda w: w.label_extract,
        "/digest",
        ("states",),
        alone=True,
    ),
    "splits": Mistake(
        change_intent(**V1, output={"splits": SPLITS}),
        "INTENT_KIND_UNSUPPORTED",
        lambda w: w.intent,
        "/output/splits",
        ("this release",),
        alone=True,
    ),
    "an entity dataset": Mistake(
        change_intent(**V1, output={"dataset_kind": "per_entity", "cut_points": ["2026-02-10T00:00:00Z"]}),
        "INTENT_KIND_UNSUPPORTED",
        lambda w: w.intent,
        "/output/dataset_kind",
        ("per_event",),
        alone=True,
    ),
    "an unknown label type": Mistake(
        change_intent(join_scope={"label_types": ["shoe_size"]}),
        "LABEL_TYPE_SCOPE_UNRESOLVED",
        lambda w: w.intent,
        "/join_scope/label_types/0",
        ("shoe_size", "fraud_disposition"),
        alone=True,
    ),
    "a basis beyond the index": Mistake(
        change_intent(replay_basis=[slice_(0, 9)]),
        "REPLAY_BASIS_GAP",
        lambda w: w.intent,
        "/replay_basis",
        ("4",),
    ),
    "a label column renamed": Mistake(
        rename_label_column, "LABEL_STORE_UNAVAILABLE", extract_part, "", ("label_type", "absent")
    ),
    "a label column of another type": Mistake(
        lambda w: reshape(extract_part(w), w.label_extract, "files", as_numbers("event_id")),
        "LABEL_STORE_UNAVAILABLE", extract_part, "", ("event_id", "INT64"),
    ),
}  # fmt: skip


def ofs(*line: str | Path, json_too: bool = True) -> Any:
    return run_command(*(["--json", "--quiet"] if json_too else []), *map(str, line))


def last(result: Any) -> dict[str, Any]:
    return dict(json.loads(result.stdout.splitlines()[-1]))


def write_labelled(folder: Path) -> Written:
    """A world whose label extract has a file with rows."""
    made = replace(world(FOUR), labels=(label(1, "e0", "FRAUD_CONFIRMED", "2026-02-20T00:00:00.000000Z"),))
    return write_world(made, folder, Layout(rows_per_segment=2))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_at_its_place_before_anything_is_computed(name: str, tmp_path: Path) -> None:
    mistake = MISTAKES[name]
    written = write_labelled(tmp_path / "my world")
    mistake.damage(written)
    where = ("--wiring", written.wiring)
    built, checked = ofs(*where, "build", written.intent), ofs(*where, "validate", written.intent)
    refused, answer = last(built), last(checked)
    assert (refused["outcome"], refused["code"]) == ("REFUSED", mistake.code)
    assert built.exit_code != 0
    assert refused["do"]["file"] == str(mistake.file(written))
    assert refused["do"].get("pointer", "") == mistake.pointer
    assert all(word in json.dumps(refused["details"]) + refused["message"] for word in mistake.words)
    assert (checked.exit_code, answer["valid"], answer["faults"][0]["code"]) == (10, False, mistake.code)
    people = ofs(*where, "build", written.intent, json_too=False)
    assert str(mistake.file(written)) in people.stderr
    assert "Traceback" not in people.stderr
    program, *line = shlex.split(refused["next"])
    assert program == "ofs"
    then = ofs(*line)
    assert then.exit_code not in (0, 2)
    if mistake.alone:
        alone = last(ofs("validate", mistake.file(written)))
        assert mistake.pointer in [fault["pointer"] for fault in alone["faults"]]


def test_a_mistyped_object_root_is_told_and_not_made(tmp_path: Path) -> None:
    written = write_labelled(tmp_path / "my world")
    mistyped = written.root.with_name("objcets")
    document = yaml.safe_load(written.wiring.read_text())
    written.wiring.write_text(yaml.safe_dump({**document, "objects": {"root": str(mistyped)}}))
    for command in (("build", written.intent), ("validate", written.intent), ("status",)):
        told = ofs("--wiring", written.wiring, *command)
        refused = last(told)
        assert (told.exit_code, refused["code"]) == (80, "ENVIRONMENT_UNFIT")
        assert (refused["do"]["file"], refused["do"]["pointer"]) == (str(written.wiring), "/objects/root")
        assert not mistyped.exists()
        assert shlex.split(refused["next"]) == [
            "ofs",
            "--json",
            "--quiet",
            "--wiring",
            str(written.wiring),
            *map(str, command),
        ]


def test_a_forgotten_wiring_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made of the default wiring, whose folder is not there, and no run facts are blamed."""
    written = write_labelled(tmp_path / "my world")
    default = tmp_path / "conf" / "wiring" / "local.yaml"
    default.parent.mkdir(parents=True)
    shipped = Path(__file__).resolve().parents[2] / "conf" / "wiring" / "local.yaml"
    default.write_text(shipped.read_text())
    monkeypatch.setattr("ofs_spark.foundation.wiring.find_conf_root", lambda: tmp_path / "conf")
    before = sorted(tmp_path.rglob("*"))
    told = ofs("build", written.intent)
    refused = last(told)
    assert (told.exit_code, refused["code"]) == (80, "ENVIRONMENT_UNFIT")
    assert (refused["do"]["file"], refused["do"]["pointer"]) == (str(default), "/objects/root")
    assert sorted(tmp_path.rglob("*")) == before


def test_ctrl_c_is_one_line_and_130(tmp_path: Path) -> None:
    written = write_labelled(tmp_path / "my world")
    program = (
        "import os, signal, sys; from ofs_spark import cli; from ofs_spark.workflow import plan\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # who runs tests in the background ignores it
        "plan.resolve_plan = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", program, "--quiet", "--wiring", str(written.wiring), "build", str(written.intent)]
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root})
    assert (ended.returncode, ended.stdout) == (128 + signal.SIGINT, "")
    assert ended.stderr.split("\n") == ["", "ofs: stopped; run the same command again to start over", ""]
