"""How chunks travel on Spark: a test takes the way of a cluster on this machine."""

from __future__ import annotations

import re

import pytest


def exchange_in_rows(patch: pytest.MonkeyPatch) -> None:
    """Has no master be one of a single machine."""
    patch.setattr("ofs_spark.io.spark_exchange._ONE_MACHINE", re.compile("none"))
