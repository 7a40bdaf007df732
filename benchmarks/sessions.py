"""The Spark sessions of benchmarks: one with the settings that users get, one that is the best for contenders of Spark alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from pyspark.sql import SparkSession

from benchmarks.report import ROOT
from ofs_spark.io.session import build_session, read_properties

PEERS = {"spark.driver.memory": "8g", "spark.driver.defaultJavaOptions": ""}
"""What they compute, they compute in the JVM: memory, and every compiler it has."""


@contextmanager
def open_session(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[SparkSession]:
    """A session on all cores with conf/spark/local.conf and `settings` on top; its JVM's words go with the scratch folder."""
    stated = {**read_properties(ROOT / "conf" / "spark" / "local.conf"), **settings}
    with TemporaryDirectory() as scratch:
        session = build_session(stated, "local[*]", "ofs bench", jvm_log=Path(scratch) / "jvm.log")
        try:
            yield session
        finally:
            session.stop()
