"""spark-submit entry of `ofs build`: arguments, one call of the pipeline, the answer on the last line, the exit status.

./spark-submit.sh jobs/build_dataset.py INTENT [--wiring FILE] [--policy DIR]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ofs_spark import pipeline
from ofs_spark.console import Progress, print_json
from ofs_spark.foundation.commands import Caller
from ofs_spark.foundation.errors import OfsError, Refusal
from ofs_spark.io.context import open_context


def main() -> int:
    """Builds the dataset of one intent; the exit status is the refusal's."""
    parser = argparse.ArgumentParser(prog="build_dataset.py", description=pipeline.build_dataset.__doc__)
    parser.add_argument("intent", type=Path)
    parser.add_argument("--wiring", type=Path)
    parser.add_argument("--policy", type=Path)
    arguments = parser.parse_args()
    given = [("--wiring", arguments.wiring), ("--policy", arguments.policy)]
    where = [text for flag, path in given if path is not None for text in (flag, str(path))]
    program = ("ofs", *where)
    caller = Caller(program, (*program, "build", str(arguments.intent)), str(arguments.intent))
    try:
        with open_context(arguments.wiring, arguments.policy, Progress(sys.stderr)) as context:
            caller.locate = context.locate_file
            answer, status = pipeline.build_dataset(arguments.intent.read_bytes(), context), 0
    except Refusal as refusal:
        answer, status = refusal.to_document(caller), refusal.exit_status
    except OfsError as error:
        answer, status = {"outcome": "FAILED", "message": str(error)}, 1
    print_json(answer)
    return status


if __name__ == "__main__":
    sys.exit(main())
