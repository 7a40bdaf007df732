"""`ofs.load`: what is given is what was published, the same in every library, or nothing is given."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import ofs_spark as ofs
from ofs_spark.api.plane import open_plane
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.refs import own_ref
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.acceptance.test_closure import TRAINING
from tests.worlds.command import run_command
from tests.worlds.model import RUN
from tests.worlds.places import list_all, upload_world
from tests.worlds.protected import PROTECTIONS, ROOT, is_possible
from tests.worlds.running import SMALL, Outcome, build, policy_with, rows_of
from tests.worlds.sabotage import flip_byte
from tests.worlds.snapshots import write_online_world
from tests.worlds.watched import snapshot
from tests.worlds.wide import FRAUD, POSITIVE, WIDE, edit_document, list_tables, refusal
from tests.worlds.writer import Written, write_world


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM."""
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Written, Outcome]:
    """A world with a dataset in several files."""
    folder = tmp_path_factory.mktemp("published")
    written = write_world(WIDE, folder / "world")
    return written, build(written, policy=policy_with(folder / "policy", SMALL))


@pytest.fixture
def written(made: tuple[Written, Outcome]) -> Iterator[Written]:
    """That world; what a test changes in it is mended afterwards."""
    written, _ = made
    files = {path: path.read_bytes() for path in written.root.rglob("*") if path.is_file()}
    yield written
    for path, body in files.items():
        if not path.is_file() or path.read_bytes() != body:
            path.write_bytes(body)


@pytest.fixture
def published(made: tuple[Written, Outcome], written: Written) -> Outcome:
    """That dataset."""
    assert made[0] == written
    return made[1]


def load(written: Written, published: Outcome) -> ofs.Dataset:
    return ofs.load(published.published["manifest_ref"], written.wiring)


# What is given


def test_every_library_gives_the_cells_that_are_stored(written: Written, published: Outcome) -> None:
    dataset = load(written, published)
    stored = rows_of(written.root / published.published["table_ref"])
    assert len(list_tables(written)) > 1
    assert (dataset.arrow().to_pylist(), len(dataset)) == (stored, 8)
    assert dataset.polars().to_dicts() == stored
    assert [plain_row(one) for one in dataset.pandas().to_dict("records")] == [plain_row(one) for one in stored]
    assert {str(one) for one in dataset.pandas().dtypes} >= {"Int64", "float64", "str", "object", "datetime64[us, UTC]"}
    rows = dataset.arrow()
    found = duckdb.sql("select count(*), max(g__count_1h) from rows")
    assert found is not None
    assert (found.fetchall(), rows.num_rows) == ([(8, 2)], 8)


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """A cell of any library as plain Python: pandas writes null as NaN, NA or NaT."""
    if isinstance(value, np.ndarray | list):
        return [plain(one) for one in value]
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value


def test_a_dataset_knows_its_manifest_and_its_columns(written: Written, published: Outcome) -> None:
    dataset = load(written, published)
    assert (dataset.manifest, dataset.manifest_ref) == (published.manifest, published.published["manifest_ref"])
    assert dataset.columns == tuple(column["name"] for column in published.manifest["columns"])
    assert dataset.features[0] == "g__count_1h"
    assert {"event_id", "ts_utc"} <= set(dataset.keys)
    assert dataset.labels[:2] == (f"label__{FRAUD}", f"label__{FRAUD}__status")
    assert (dataset.anchor, dataset.weights) == ((), ())
    assert published.published["dataset_manifest_id"] in repr(dataset)
    assert "bäcker" not in dataset._repr_html_()


def test_a_model_is_given_resolved_rows(written: Written, published: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    dataset = load(written, published)
    with caplog.at_level(logging.WARNING, "ofs_spark"):
        X, y = given = dataset.X_y(FRAUD, positive=POSITIVE)  # noqa: N806
    assert (sorted(y), given.dropped, len(X)) == ([0, 0, 0, 1], 4, 4)
    assert "4 of 8 rows" in caplog.text
    day = dataset.arrow().column("ts_utc").to_pylist()[0].date()
    train, test = dataset.split(train_until=datetime(day.year, day.month, day.day, 11, 30, tzinfo=UTC), gap="30m")
    assert sorted(train.arrow().column("event_id").to_pylist()) == ["e0", "e1", "e2"]
    assert sorted(test.arrow().column("event_id").to_pylist()) == ["e4", "e5", "e6", "e7"]


def test_a_dataset_is_named_by_id_or_ref_and_the_wiring_by_the_environment(
    written: Written, published: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFS_WIRING", str(written.wiring))
    whole = load(written, published).arrow()
    named = published.published["dataset_manifest_id"]
    assert ofs.load(named).arrow().equals(whole)
    assert ofs.load(named[:9]).manifest_ref == published.published["manifest_ref"]
    assert ofs.load(published.published["manifest_ref"], wiring=str(written.wiring)).arrow().equals(whole)


def test_rows_that_are_too_many_to_be_kept_are_read_and_proven_again(
    written: Written, published: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(written, published)
    monkeypatch.setattr("ofs_spark.workflow.load.find_most_kept", lambda: 100)
    dataset = load(written, published)
    assert dataset._loaded.kept is None
    assert dataset.arrow().equals(whole.arrow())
    cut = whole.arrow().column("ts_utc").sort().to_pylist()[3]
    for part, other in zip(dataset.split(train_until=cut), whole.split(train_until=cut), strict=True):
        assert part.arrow().equals(other.arrow())
        assert len(part) == len(other)
    pd.testing.assert_frame_equal(dataset.X_y(FRAUD, POSITIVE).X, whole.X_y(FRAUD, POSITIVE).X)
    travelled = pickle.loads(pickle.dumps(dataset))
    flip_byte(list_tables(written)[-1])
    assert refusal(travelled.arrow).code == "MATERIALIZATION_CORRUPT"


def test_loading_creates_nothing_and_needs_no_right_to_write(written: Written, published: Outcome) -> None:
    base = written.root.parent
    protection = next((name for name in PROTECTIONS if is_possible(name, base.parent / "trial")), None)
    if protection is None:
        pytest.skip("NOT SHOWN: neither a read-only mount nor taken rights can be had on this machine")
    program = (
        f"import ofs_spark as ofs; print(ofs.load({published.published['dataset_manifest_id']!r}, "
        f"{str(written.wiring)!r}).pandas().shape)"
    )
    command = PROTECTIONS[protection]([sys.executable, "-c", program], [], base)
    before = snapshot(base, ())
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=known, cwd="/")
    assert (done.returncode, done.stdout.strip()) == (0, f"(8, {len(published.manifest['columns'])})"), done.stderr
    assert snapshot(base, ()) == before


def test_a_dataset_in_a_bucket_is_the_one_of_the_folder(
    tmp_path: Path, made: tuple[Written, Outcome], make_bucket: Callable[[str], str], s3_address: str
) -> None:
    place = upload_world(write_world(WIDE, tmp_path / "world"), make_bucket(s3_address), s3_address, tmp_path / "local")
    answer = ofs.build(place.intent, place.wiring)
    dataset = pickle.loads(pickle.dumps(ofs.load(answer.dataset_manifest_id, place.wiring)))
    whole = ofs.load(made[1].published["manifest_ref"], made[0].wiring)
    order = [("event_id", "ascending")]
    assert dataset.arrow().sort_by(order).equals(whole.arrow().sort_by(order))
    (file,) = [ref for ref in list_all(place.objects) if ref.endswith(".parquet") and "/datasets/" in ref]
    place.objects.replace(own_ref(file), b"x" + place.objects.read(file, 1 << 20)[1:])
    assert refusal(lambda: ofs.load(answer.manifest_ref, place.wiring)).details["ref"] == file


# What is refused


def refuse_load(written: Written, named: str) -> ofs.Refusal:
    return refusal(lambda: ofs.load(named, written.wiring))


@pytest.mark.parametrize("place", [0, -1])
def test_a_flipped_byte_is_refused_and_its_file_named(place: int, written: Written, published: Outcome) -> None:
    file = list_tables(written)[place]
    flip_byte(file)
    refused = refusal(lambda: load(written, published))
    ref = file.relative_to(written.root).as_posix()
    assert (refused.code, refused.details["ref"], refused.exit_status) == ("MATERIALIZATION_CORRUPT", ref, 60)
    assert ref in str(refused)
    assert refused.do["file"] == str(file)
    assert any(note.startswith("do:   ") for note in refused.__notes__)


def test_a_missing_file_is_refused_and_named(written: Written, published: Outcome) -> None:
    list_tables(written)[1].unlink()
    refused = refusal(lambda: load(written, published))
    assert (refused.code, "is missing" in str(refused)) == ("MATERIALIZATION_CORRUPT", True)


def test_a_changed_list_of_files_is_refused(written: Written, published: Outcome) -> None:
    listed = published.manifest["materialization"]["files"]["ref"]
    flip_byte(written.root / listed)
    refused = refusal(lambda: load(written, published))
    assert (refused.code, refused.details["ref"]) == ("MATERIALIZATION_CORRUPT", listed)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda m: m["materialization"].update(content_digest="ab" * 32), "content digest"),
        (lambda m: m["materialization"].update(row_count=7), "rows"),
        (lambda m: m["materialization"]["files"].update(count=1), "files"),
        (lambda m: m["columns"][0].update(name="renamed"), "content digest"),
    ],
)
def test_a_table_that_is_not_the_manifests_is_refused(
    edit: Callable[[dict[str, Any]], object], says: str, written: Written, published: Outcome
) -> None:
    edit_document(written.root / published.published["manifest_ref"], edit)
    refused = refusal(lambda: load(written, published))
    assert (refused.code, refused.details["check"]) == ("MATERIALIZATION_CORRUPT", says)
    assert refused.details["manifest_ref"] == published.published["manifest_ref"]


def test_what_is_no_manifest_is_refused_by_what_it_is(tmp_path: Path) -> None:
    training = write_world(TRAINING, tmp_path / "training")
    ref = build(training).published["manifest_ref"]
    refused = refuse_load(training, ref.replace(".json", ".v0.json"))
    assert (refused.code, "learning.dataset_manifest.v0" in str(refused)) == ("SCHEMA_INVALID", True)
    copy = ref.replace("manifests/dm_", "manifests/copy_")
    (training.root / copy).write_bytes((training.root / ref).read_bytes())
    assert f"it is the manifest of {ref}" in str(refuse_load(training, copy))
    for other, says in (
        (f"{RUN}/archive/segment_index.json", "archive.segment_index.v0"),
        (f"{RUN}/x.json", "no Data"),
    ):
        assert says in str(refuse_load(training, other))


def test_forensic_artifacts_and_parity_documents_are_no_datasets(tmp_path: Path) -> None:
    world = write_online_world(tmp_path)
    answer = world.rebuild(world.ask("forensic_rebuild", "forensic.0001", f"{RUN}/ofp/1.json"))
    wiring = tmp_path / "wiring.yaml"

    def refuse(ref: str) -> ofs.Refusal:
        return refusal(lambda: ofs.load(ref, wiring))

    for name in ("record_ref", "snapshot_ref", "contributions_ref"):
        refused = refuse(answer[name])
        assert (refused.code, "is a forensic artifact" in str(refused)) == ("SCHEMA_INVALID", True)
    intent = tmp_path / "parity.json"
    intent.write_bytes(world.ask("parity_rebuild", "parity.0001", f"{RUN}/ofp/0.json"))
    told = run_command("--wiring", str(wiring), "--json", "--quiet", "parity", str(intent))
    report = json.loads(told.stdout.splitlines()[-1])["report_ref"]
    for ref in (report, report.replace(".json", ".attempt-1/part.parquet")):
        refused = refuse(ref)
        assert (refused.code, "is a document of a parity run" in str(refused)) == ("SCHEMA_INVALID", True)


def test_a_dataset_that_is_not_there_is_refused(written: Written, published: Outcome, tmp_path: Path) -> None:
    ref, named = (published.published[name] for name in ("manifest_ref", "dataset_manifest_id"))
    unknown = refuse_load(written, "dm_" + "00" * 16)
    assert (unknown.code, unknown.next) == ("RUN_NOT_FOUND", f"ofs --wiring {written.wiring} datasets")
    (written.root / ref).unlink()
    for one in (ref, named):
        assert refuse_load(written, one).code == "REF_ACCESS_DENIED"
    assert refuse_load(written, "../../x").code == "REF_SCOPE_INVALID"
    nowhere = refusal(lambda: ofs.load(ref, tmp_path / "nowhere.yaml"))
    assert nowhere.code == "ENVIRONMENT_UNFIT"
    assert nowhere.do["text"].startswith("name a file that can be read: --wiring FILE")


def test_an_argument_that_names_several_things_is_said_as_python_says_it(written: Written) -> None:
    with pytest.raises(ValueError, match="2 datasets begin with dm_a1"), open_plane(written.wiring, reads=True):
        raise WrongArgument("2 datasets begin with dm_a1")


def test_a_library_that_is_missing_is_named_with_its_installation(
    written: Written, published: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load(written, published)
    for name, call in (("polars", dataset.polars), ("pandas", dataset.pandas)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"needs {name}, which is not installed: pip install {name}"):
            call()
    with pytest.raises(ImportError, match="pip install pandas"):
        dataset.X_y(FRAUD, positive=POSITIVE)
