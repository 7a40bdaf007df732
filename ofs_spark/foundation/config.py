"""`conf/`, where it is and how a file of it is read; and the release of the running code.

`wiring.py` reads where things are, `policy.py` what changes meaning.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ofs_spark.foundation.canonical import CanonicalError
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.strict_yaml import parse_yaml


def read_code_release() -> str:
    """The running code's release: OFS_CODE_RELEASE where the packager set it, else the package's version.

    ENVIRONMENT_UNFIT where it is no line that a plan or a manifest can hold.
    """
    stated = os.environ.get("OFS_CODE_RELEASE")
    if stated:
        from ofs_spark.foundation.contracts import is_line  # loads jsonschema, which a look at the ledger does without

        if not is_line(stated):
            message = "OFS_CODE_RELEASE must be one line of at most 1024 characters, without blanks at its ends"
            raise refuse("ENVIRONMENT_UNFIT", message)
        return stated
    try:
        return f"ofs-spark-{version('ofs-spark')}"
    except PackageNotFoundError:  # code shipped as an archive carries no metadata
        return "ofs-spark-unpackaged"


def find_conf_root() -> Traversable:
    """The folder `conf/`: inside an installed package or shipped archive, else in the source tree."""
    packaged = files("ofs_spark") / "conf_data"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "conf"


def read_conf(file: Traversable, what: str) -> Any:
    """The YAML document in `file`. ENVIRONMENT_UNFIT, naming `what` it is, if it cannot be read or is no YAML."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise refuse("ENVIRONMENT_UNFIT", f"{what} {file} cannot be read: {error.strerror}") from None
    try:
        return parse_yaml(raw, what=f"{what} {file}")
    except CanonicalError as error:
        raise refuse("ENVIRONMENT_UNFIT", str(error)) from None
