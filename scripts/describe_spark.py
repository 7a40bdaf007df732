"""What spark-submit.sh starts Spark with, a line each: home, folder of settings, class path of the jars, options of Java."""

from __future__ import annotations

import sys
from pathlib import Path

import pyspark

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.java import OPTIONS, check_java, find_empty_folder, write_options
from ofs_spark.io.session import check_jars, read_properties

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Exit status 80 where something is missing, which is told."""
    try:
        jars, java = check_jars(ROOT), check_java()
    except Refusal as error:
        print(f"{error}\nnext: {error.next}" if error.next else error, file=sys.stderr)
        return error.exit_status
    stated = read_properties(ROOT / "conf" / "spark" / "local.conf")[OPTIONS]
    print(Path(pyspark.__file__).parent)
    print(find_empty_folder(ROOT))
    print(*jars, sep=":")
    print(write_options(stated, ROOT, java))
    return 0


if __name__ == "__main__":
    sys.exit(main())
