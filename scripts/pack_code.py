"""Packs the package `ofs_spark` into a .zip for `spark-submit --py-files` (a wheel would not reach the executors).

The same sources give the same bytes: entries are sorted and carry no time of their own.

Usage: pack_code.py TARGET.zip
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"ofs_spark": "ofs_spark", "contracts": "ofs_spark/contracts_data", "conf": "ofs_spark/conf_data"}


def main(target: Path) -> None:
    """Writes the archive, replacing any other."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, place in FOLDERS.items():
            for file in sorted((ROOT / folder).rglob("*")):
                if not file.is_file() or "__pycache__" in file.parts:
                    continue
                entry = zipfile.ZipInfo((Path(place) / file.relative_to(ROOT / folder)).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
