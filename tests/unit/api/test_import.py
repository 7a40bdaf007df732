"""`import ofs_spark`: light, typed, and nothing but what it offers."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import ofs_spark as ofs
from ofs_spark.foundation import errors

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {
    *("pyspark", "pyarrow", "numpy", "numba", "pandas", "polars", "pydantic", "deltalake", "boto3", "sklearn", "yaml"),
    *("jsonschema", "sqlite3"),
}


def run_python(program: str) -> str:
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=known).stdout


def test_the_import_loads_nothing() -> None:
    before = set(run_python("import sys; print(*sys.modules)").split())
    after = set(run_python("import ofs_spark, sys; print(*sys.modules)").split())
    assert {name for name in after - before if name.startswith("ofs_spark")} == {"ofs_spark"}
    assert after & HEAVY == set()


def test_the_version_loads_no_library_that_computes() -> None:
    told, loaded = run_python("import ofs_spark, sys; print(ofs_spark.__version__); print(*sys.modules)").splitlines()
    assert told == version("ofs-spark")
    assert set(loaded.split()) & (HEAVY - {"yaml", "jsonschema"}) == set()


def test_loading_needs_neither_spark_nor_a_compiler() -> None:
    loaded = run_python("import ofs_spark, sys; ofs_spark.load, ofs_spark.Dataset; print(*sys.modules)")
    assert set(loaded.split()) & {"pyspark", "numba", "pandas", "polars", "sklearn", "deltalake", "boto3"} == set()


def test_every_public_name_is_there_and_no_other() -> None:
    assert set(ofs.__all__) <= set(dir(ofs))
    for name in ofs.__all__:
        assert getattr(ofs, name) is not None
    assert ofs.Refusal is errors.Refusal
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        getattr(ofs, "laod")  # noqa: B009  # a name that is mistyped


def use_as_typed(intent: Path) -> tuple[str, int]:
    """Never called: mypy's strict mode admits what is used rightly, and tells each ignore below that hides nothing."""
    dataset = ofs.load("dm_1", wiring="wiring.yaml")
    train, test = dataset.split(train_until="2026-01-01T00:00:00Z", gap="7d")
    rows: ofs.LabelledRows = train.X_y("fraud_disposition", positive=["FRAUD_CONFIRMED"])
    built: ofs.BuildAnswer = ofs.build(intent, wiring=Path("wiring.yaml"))
    names: tuple[str, ...] = dataset.features + test.anchor
    try:
        ofs.load(1)  # type: ignore[arg-type]  # no ref
        ofs.laod("x")  # type: ignore[attr-defined]  # no such name
        built.rows.lower()  # type: ignore[attr-defined]  # a number
    except ofs.Refusal as refusal:
        return f"{refusal.code} {refusal.next} {refusal.do['text']} {names} {ofs.__version__}", rows.dropped
    return built.manifest_ref, len(test)
