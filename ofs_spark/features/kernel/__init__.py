"""Exact window aggregates over one target's sorted rows: plain arrays in, Arrow columns out."""

from ofs_spark.features.kernel.compute import compute_group
from ofs_spark.features.kernel.model import GroupRows, Values

__all__ = ["GroupRows", "Values", "compute_group"]
