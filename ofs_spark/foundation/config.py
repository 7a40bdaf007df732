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
from ofs_spark.foundation.commands import Next
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.files import read_file
from ofs_spark.foundation.ports import ObjectTooLarge
from ofs_spark.foundation.strict_yaml import MAX_YAML_BYTES, parse_yaml
from ofs_spark.foundation.wording import write_count

_NAMED = Next(do="name a file that can be read: --wiring FILE or OFS_WIRING, --policy DIR or OFS_POLICY")
_CORRECTED = Next(do="correct the file as the message says")
MOST_RELEASE = 1024
"""Characters of a release: as the contract of an intent has it."""


def read_code_release() -> str:
    """The running code's release: OFS_CODE_RELEASE where the packager set it, else the package's version.

    ENVIRONMENT_UNFIT for a variable that is not what an intent can pin: one line of text without blanks at its ends.
    """
    stated = os.environ.get("OFS_CODE_RELEASE")
    if stated:
        if not stated.isprintable() or stated != stated.strip() or len(stated) > MOST_RELEASE:
            message = f"OFS_CODE_RELEASE is no line of at most {MOST_RELEASE} printable characters in UTF-8"
            raise refuse("ENVIRONMENT_UNFIT", message)
        return stated
    return f"ofs-spark-{read_version()}"


def read_version() -> str:
    """The package's version; `unpackaged` for code shipped as an archive, which carries no metadata."""
    try:
        return version("ofs-spark")
    except PackageNotFoundError:
        return "unpackaged"


def find_conf_root() -> Traversable:
    """The folder `conf/`: inside an installed package or shipped archive, else in the source tree."""
    packaged = files("ofs_spark") / "conf_data"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "conf"


def read_conf(file: Traversable, what: str, *, quote: bool = True) -> Any:
    """The YAML document in `file`. ENVIRONMENT_UNFIT, naming `what` it is, if it cannot be read or is no YAML.

    `quote`: as `parse_yaml`.
    """
    try:
        raw = read_file(file, MAX_YAML_BYTES) if isinstance(file, Path) else file.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no name of a file"
        raise refuse("ENVIRONMENT_UNFIT", f"{what} {file} cannot be read: {reason}", _NAMED, file=str(file)) from None
    except ObjectTooLarge as error:
        message = f"{what} {file} has {write_count(error.found, 'byte')}; at most {error.allowed:,} are read"
        raise refuse("ENVIRONMENT_UNFIT", message, _CORRECTED, file=str(file)) from None
    try:
        return parse_yaml(raw, what=f"{what} {file}", quote=quote)
    except CanonicalError as error:
        raise refuse("ENVIRONMENT_UNFIT", str(error), _CORRECTED, file=str(file)) from None
