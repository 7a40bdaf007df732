"""`ofs init`: the folder builds as it is, every document in it is valid, and nothing of it is chance."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.cli import main
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine

ROOT = Path(__file__).resolve().parents[2]


def init(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["--json", "--quiet", "init", str(folder)]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_builds_as_it_is_with_and_without_its_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = init(tmp_path / "own", capsys)
    assert (answer["outcome"], answer["events"], answer["rejected"]) == ("INITIALISED", 3_000, 0)
    assert answer["next"].endswith(f"--wiring {answer['wiring']} build {answer['intent']}")
    raw = Path(answer["intent"]).read_bytes()
    with open_context(Path(answer["wiring"]), None, lambda *_: None, EmbeddedEngine) as context:
        built = pipeline.build_dataset(raw, context)
        verified = pipeline.verify_dataset(built["manifest_ref"], context)
    assert (built["outcome"], built["rows"], verified["verified"]) == ("COMMITTED", 3_000, True)
    manifest = json.loads((tmp_path / "own" / built["manifest_ref"]).read_bytes())
    named = {column["name"]: column for column in manifest["columns"]}
    assert {"customer__count_7d", "customer__over_mean_7d", "terminal__declined_7d"} <= set(named)
    with open_context(Path(answer["wiring"]), Path(answer["policy"]), lambda *_: None, EmbeddedEngine) as context:
        assert pipeline.build_dataset(raw, context)["content_digest"] == built["content_digest"]


@pytest.mark.parametrize("verb", ["init", "import"])
def test_what_comes_next_is_typed_as_this_was(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--map", f"{init(tmp_path / 'first', capsys)['sample']}/map.yaml") if verb == "import" else ()
    line = [sys.executable, "-m", "ofs_spark.cli", "--json", "--quiet", verb, str(tmp_path / "own"), *given]
    done = subprocess.run(line, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    again = shlex.split(json.loads(done.stdout)["next"])
    root = (tmp_path / "own").resolve()
    assert again == [*line[:3], "--wiring", str(root / "wiring.yaml"), "build", str(root / "intent.json")]


def test_every_document_of_the_folder_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = init(tmp_path / "own", capsys)
    documents = [answer[name] for name in ("intent", "profile", "wiring")]
    documents += [str(tmp_path / "own" / answer[name]) for name in ("index_ref", "extract_ref")]
    status = main(["--json", "--wiring", answer["wiring"], "validate", *documents])
    told = json.loads(capsys.readouterr().out)
    assert (status, told["valid"]) == (0, True), told
    assert len(told["files"]) == len(documents)


def test_it_is_the_same_each_time_and_takes_no_folder_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "one", capsys)
    init(tmp_path / "two", capsys)
    before = read_files(tmp_path / "one")
    assert before == read_files(tmp_path / "two")
    assert main(["--json", "init", str(tmp_path / "one")]) == 2
    assert "is not empty" in json.loads(capsys.readouterr().out)["message"]
    assert read_files(tmp_path / "one") == before


def test_its_map_imports_its_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = init(tmp_path / "own", capsys)
    status = main(["--json", "--quiet", "import", str(tmp_path / "mine"), "--map", f"{answer['sample']}/map.yaml"])
    mine = json.loads(capsys.readouterr().out)
    assert status == 0
    assert [mine[name] for name in ("events", "labels", "rejected")] == [
        answer[name] for name in ("events", "labels", "rejected")
    ]
    segments = [sorted((tmp_path / name).glob("*/archive/segments/**/*.parquet")) for name in ("own", "mine")]
    assert [path.read_bytes() for path in segments[0]] == [path.read_bytes() for path in segments[1]]
