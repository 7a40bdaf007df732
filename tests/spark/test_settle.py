"""What a reused worker is spared: nothing of an archive is read again, and what is loaded is not looked at again."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

TOLD = """
import gc, importlib, sys
from ofs_spark.io.spark_engine import _settle_worker
sys.path.insert(0, sys.argv[1])
import one
_settle_worker()
tracked, frozen = len(gc.get_objects()), gc.get_freeze_count()
open(sys.argv[1], "wb").close()  # whoever reads the archive anew finds nothing in it
importlib.invalidate_caches()
archives = [path for path in sys.path_importer_cache if path == sys.argv[1]]
print(len(archives), frozen > 100 * tracked, one.NAME)
"""


def test_a_settled_worker_reads_no_archive_and_looks_at_no_library_again(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("one.py", "NAME = 'one'")
    done = subprocess.run([sys.executable, "-c", TOLD, str(archive)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "one"]
