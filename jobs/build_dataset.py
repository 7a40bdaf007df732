"""spark-submit entry of `ofs build`: arguments, one call of the pipeline, the answer on the last line, the exit status.

./spark-submit.sh jobs/build_dataset.py INTENT [--wiring FILE] [--policy DIR]
"""

from __future__ import annotations

import sys

from ofs_spark.cli import submit_build

if __name__ == "__main__":
    sys.exit(submit_build())
