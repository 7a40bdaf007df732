"""spark-submit entry of `ofs forensic`: arguments, one call of the pipeline, the answer on the last line, the exit status.

./spark-submit.sh jobs/forensic.py INTENT [--wiring FILE] [--policy DIR]
"""

from __future__ import annotations

import sys

from ofs_spark.cli import submit_forensic

if __name__ == "__main__":
    sys.exit(submit_forensic())
