"""spark-submit entry of `ofs backfill`: arguments, one call of the pipeline, the answer on the last line, the exit status.

./spark-submit.sh jobs/backfill_dataset.py INTENT --supersedes REF --reason CODE [--wiring FILE] [--policy DIR]
"""

from __future__ import annotations

import sys

from ofs_spark.cli import submit_backfill

if __name__ == "__main__":
    sys.exit(submit_backfill())
