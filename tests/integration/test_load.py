"""`ofs.load` and `ofs.build`: what is given is what was published, the same in every library, or nothing is given."""

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
from pyspark.sql import SparkSession

import ofs_spark as ofs
from ofs_spark.api.plane import open_plane
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.refs import own_ref
from ofs_spark.io.local_engine import LocalEngine
from tests.acceptance.test_closure import TRAINING
from tests.spec.tables.windows import world
from tests.worlds.command import run_command
from tests.worlds.model import RUN, World, label
from tests.worlds.places import list_all, upload_world
from tests.worlds.protected import PROTECTIONS, ROOT, is_possible
from tests.worlds.running import SMALL, Outcome, build, policy_with, rows_of
from tests.worlds.sabotage import flip_byte
from tests.worlds.snapshots import write_online_world
from tests.worlds.watched import snapshot
from tests.worlds.writer import Written, write_world

FRAUD = "fraud_disposition"
POSITIVE = ["FRAUD_CONFIRMED"]
EVENTS = """
event | time            | card | amount  | shop
e0    | 10:00:00        | "A"  | 12.34   | "bäcker"
e1    | 10:00:00.000001 | "A"  | -0.05   | null
e2    | 10:30:00        | "B"  | 1e9     | ""
e3    | 11:30:00        | null | 7       | "x"
e4    | 12:00:00        | "A"  | null    | "y"
e5    | 12:30:00        | "D"  | 3.5     | "y"
e6    | 12:31:00        | "C"  | 1       | "z"
e7    | 12:32:00        | "E"  | 2       | "z"
"""
BASE = world(
    EVENTS,
    values={
        "amount": {"path": "payload.amount", "type": "decimal(12,2)", "missing": "null"},
        "shop": {"path": "payload.shop", "type": "string", "missing": "null"},
    },
    features=[
        {"name": "count", "aggregate": "count"},
        {"name": "mean", "aggregate": "mean", "value": "amount"},
        {"name": "spend", "aggregate": "sum", "value": "amount", "output": "exact"},
        {"name": "shop", "aggregate": "last", "value": "shop"},
    ],
)
LABELS = tuple(
    label(place, event, value, "2026-02-20T00:00:00Z")
    for place, (event, value) in enumerate(
        [("e0", "FRAUD_CONFIRMED"), ("e2", "LEGIT_CONFIRMED"), ("e4", "FRAUD_SUSPECTED"), ("e5", "LEGIT_CONFIRMED")]
    )
)
WIDE = World(BASE.segments, BASE.intent, BASE.profile, LABELS)
"""Texts, times, integers, decimals and floats, with nulls."""


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No JVM, but where a test asks for one."""
    if "spark" not in request.fixturenames:
        monkeypatch.setattr("ofs_spark.io.context._Spark.engine", lambda _self: LocalEngine())


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


@pytest.fixture
def new(tmp_path: Path) -> Written:
    """A world without a dataset."""
    return write_world(WIDE, tmp_path / "world")


def load(written: Written, published: Outcome, **named: Any) -> ofs.Dataset:
    return ofs.load(published.published["manifest_ref"], written.wiring, **named)


def refusal(call: Callable[[], object]) -> ofs.Refusal:
    with pytest.raises(ofs.Refusal) as refused:
        call()
    return refused.value


def list_tables(written: Written) -> list[Path]:
    return sorted(written.root.glob(f"{RUN}/ofs/datasets/*/*/*.parquet"))


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


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("place", [0, -1])
def test_a_flipped_byte_is_refused_and_its_file_named(place: int, written: Written, published: Outcome) -> None:
    file = list_tables(written)[place]
    flip_byte(file)
    refused = refusal(lambda: load(written, published))
    ref = file.relative_to(written.root).as_posix()
    assert (refused.code, refused.details["ref"], refused.exit_status) == ("MATERIALIZATION_CORRUPT", ref, 60)
    assert ref in str(refused)
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
    change(written.root / published.published["manifest_ref"], edit)
    refused = refusal(lambda: load(written, published))
    assert (refused.code, refused.details["check"]) == ("MATERIALIZATION_CORRUPT", says)
    assert refused.details["manifest_ref"] == published.published["manifest_ref"]


def test_what_is_no_manifest_is_refused_by_what_it_is(tmp_path: Path) -> None:
    training = write_world(TRAINING, tmp_path / "training")
    ref = build(training).published["manifest_ref"]
    refused = refusal(lambda: ofs.load(ref.replace(".json", ".v0.json"), training.wiring))
    assert (refused.code, "learning.dataset_manifest.v0" in str(refused)) == ("SCHEMA_INVALID", True)
    copy = ref.replace("manifests/dm_", "manifests/copy_")
    (training.root / copy).write_bytes((training.root / ref).read_bytes())
    assert f"it is the manifest of {ref}" in str(refusal(lambda: ofs.load(copy, training.wiring)))
    for other, says in (
        (f"{RUN}/archive/segment_index.json", "archive.segment_index.v0"),
        (f"{RUN}/x.json", "no Data"),
    ):
        assert says in str(refusal(lambda other=other: ofs.load(other, training.wiring)))  # type: ignore[misc]  # mypy knows no lambda with a default


def test_forensic_artifacts_and_parity_documents_are_no_datasets(tmp_path: Path) -> None:
    world = write_online_world(tmp_path)
    answer = world.rebuild(world.ask("forensic_rebuild", "forensic.0001", f"{RUN}/ofp/1.json"))
    wiring = tmp_path / "wiring.yaml"
    for name in ("record_ref", "snapshot_ref", "contributions_ref"):
        refused = refusal(lambda name=name: ofs.load(answer[name], wiring))  # type: ignore[misc]  # as above
        assert (refused.code, "is a forensic artifact" in str(refused)) == ("SCHEMA_INVALID", True)
    intent = tmp_path / "parity.json"
    intent.write_bytes(world.ask("parity_rebuild", "parity.0001", f"{RUN}/ofp/0.json"))
    told = run_command("--wiring", str(wiring), "--json", "--quiet", "parity", str(intent))
    report = json.loads(told.stdout.splitlines()[-1])["report_ref"]
    for ref in (report, report.replace(".json", ".attempt-1/part.parquet")):
        refused = refusal(lambda ref=ref: ofs.load(ref, wiring))  # type: ignore[misc]  # as above
        assert (refused.code, "is a document of a parity run" in str(refused)) == ("SCHEMA_INVALID", True)


def test_a_dataset_that_is_not_there_is_refused(written: Written, published: Outcome, tmp_path: Path) -> None:
    ref, named = (published.published[name] for name in ("manifest_ref", "dataset_manifest_id"))
    unknown = refusal(lambda: ofs.load("dm_" + "00" * 16, written.wiring))
    assert (unknown.code, unknown.next) == ("RUN_NOT_FOUND", f"ofs --wiring {written.wiring} status")
    (written.root / ref).unlink()
    for one in (ref, named):
        assert refusal(lambda one=one: ofs.load(one, written.wiring)).code == "REF_ACCESS_DENIED"  # type: ignore[misc]  # as above
    assert refusal(lambda: ofs.load("../../x", written.wiring)).code == "REF_SCOPE_INVALID"
    nowhere = refusal(lambda: ofs.load(ref, tmp_path / "nowhere.yaml"))
    assert (nowhere.code, nowhere.do["text"] != "") == ("ENVIRONMENT_UNFIT", True)


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


# Building from Python


def test_a_build_answers_typed_and_again_the_same(new: Written) -> None:
    first = ofs.build(new.intent, new.wiring)
    assert (first.outcome, first.rows, first.status) == ("COMMITTED", 8, "NON_TRAINING")
    assert first.timings["replay"] >= 0
    assert first.document["content_digest"] == first.content_digest
    document = json.loads(new.intent.read_bytes())
    again = ofs.build({**document, "request_id": "world.request.0002"}, str(new.wiring))
    assert (again.outcome, again.manifest_ref, dict(again.timings)) == ("ALREADY_PUBLISHED", first.manifest_ref, {})
    assert again.coverage == first.coverage
    with pytest.raises(AttributeError):
        first.rows = 7  # type: ignore[misc]  # it is frozen
    assert ofs.load(first.manifest_ref, new.wiring).arrow().num_rows == first.rows


def test_a_refused_build_says_what_can_be_typed(new: Written) -> None:
    change(new.intent, lambda document: document.pop("label_basis"))
    refused = refusal(lambda: ofs.build(new.intent, new.wiring))
    assert refused.code == "LABEL_ASOF_MISSING"
    assert refused.next == f"ofs --wiring {new.wiring} validate {new.intent}"
    assert refused.do["file"] == str(new.intent)
    assert f"next: {refused.next}" in refused.__notes__
    of_document = refusal(lambda: ofs.build({"request_id": "x"}, new.wiring))
    assert (of_document.next, "file" in of_document.do) == ("", False)


def test_what_is_no_intent_at_all_is_said_by_python(new: Written, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ofs.build(tmp_path / "nowhere.json", new.wiring)
    with pytest.raises(ValueError, match="not JSON compliant"):
        ofs.build({"request_id": float("nan")}, new.wiring)
    with pytest.raises(TypeError):
        ofs.build({"request_id": object()}, new.wiring)
    (tmp_path / "large.json").write_bytes(b" " * (8 * 1024 * 1024 + 1))
    with pytest.raises(ValueError, match="are allowed"):
        ofs.build(tmp_path / "large.json", new.wiring)


# On Spark


def test_a_session_reads_the_same_rows_and_goes_on(spark: SparkSession, new: Written, tmp_path: Path) -> None:
    policy = policy_with(tmp_path / "policy", SMALL)
    answer = ofs.build(new.intent, new.wiring, policy)
    dataset = ofs.load(answer.dataset_manifest_id, new.wiring)
    frame = dataset.spark(spark)
    assert frame.columns == list(dataset.columns)
    assert find_rows(frame.toArrow().to_pylist()) == find_rows(dataset.arrow().to_pylist())
    assert frame.schema.json() == spark.read.format("delta").load(str(new.root / answer.table_ref)).schema.json()
    cut = dataset.arrow().column("ts_utc").sort().to_pylist()[3]
    for part in dataset.split(train_until=cut):
        assert find_rows(part.spark(spark).toArrow().to_pylist()) == find_rows(part.arrow().to_pylist())
    nothing = dataset.split(train_until=cut).between
    assert (nothing.spark(spark).count(), nothing.spark(spark).columns) == (0, list(dataset.columns))
    assert spark.range(3).count() == 3  # the build used this session, and left it
    flip_byte(list_tables(new)[0])
    with pytest.raises(Exception, match="MATERIALIZATION_CORRUPT"):
        frame.count()


def find_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows by event, with times of one zone."""
    same = [{n: v.astimezone(UTC) if isinstance(v, datetime) else v for n, v in row.items()} for row in rows]
    return sorted(same, key=lambda row: str(row["event_id"]))
