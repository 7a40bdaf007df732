"""Packs the package `ofs_spark` into a .zip for `spark-submit --py-files` (a wheel would not reach the executors).

The contracts and the configuration travel inside the package, under the names by which a wheel holds them.

The same sources give the same bytes: entries are sorted and carry no time of their own.

Usage: pack_code.py TARGET.zip
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"ofs_spark": "ofs_spark", "contracts": "ofs_spark/contracts_data", "conf": "ofs_spark/conf_data"}
"""Folder of the checkout → folder of the archive. Examples of contracts are for tests and stay behind."""


def main(target: Path) -> None:
    """Writes the archive, replacing any other."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, inside in FOLDERS.items():
            for file in sorted((ROOT / folder).rglob("*")):
                if file.is_file() and not {"__pycache__", "examples"} & set(file.relative_to(ROOT).parts):
                    entry = zipfile.ZipInfo(f"{inside}/{file.relative_to(ROOT / folder).as_posix()}")
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
