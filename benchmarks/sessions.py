"""The Spark session of a benchmark: the settings that users get, and memory for the largest contender."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession

from benchmarks.report import ROOT
from ofs_spark.io.session import build_session, read_properties

MEMORY = {"spark.driver.memory": "8g"}
"""The floor and the naive build hold in the JVM what OFS holds in workers."""


@contextmanager
def open_session(settings: Mapping[str, str] = MEMORY) -> Iterator[SparkSession]:
    """A session on all cores with conf/spark/local.conf and `settings` on top; its JVM's words go with the scratch folder."""
    stated = {**read_properties(ROOT / "conf" / "spark" / "local.conf"), **settings}
    with TemporaryDirectory() as scratch:
        session = build_session(stated, "local[*]", "ofs bench", jvm_log=Path(scratch) / "jvm.log")
        try:
            yield session
        finally:
            session.stop()
