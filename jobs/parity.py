"""spark-submit entry of `ofs parity`: arguments, one call of the pipeline, the answer on the last line, the exit status.

./spark-submit.sh jobs/parity.py INTENT [--anchors FILE | --features REF] [--wiring FILE] [--policy DIR]
"""

from __future__ import annotations

import sys

from ofs_spark.cli import submit_parity

if __name__ == "__main__":
    sys.exit(submit_parity())
