"""What may be a secret in a wiring, and the text that stands for one: `${NAME}` of the environment, `~/` of the user.

A secret never stands in a file: it comes by `${NAME}`, or by a variable that the library itself reads (PGPASSWORD). So
what stands in a wiring can be shown by its place alone, and an expanded value is shown nowhere.
"""

from __future__ import annotations

import os
import re

from ofs_spark.foundation.errors import Refusal, refuse

_NAMED = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOME = re.compile(r"^((?:sqlite:///)?)~/")

_SECRET_NAME = re.compile(
    r"secret|passw|pwd|token|credential|(access|private|api|account|encryption|shared)[._-]?key", re.IGNORECASE
)
_NO_SECRET_NAME = re.compile(
    r"(provider|class|enabled|type|regex|path|file|algorithm|impl|length|bits)$", re.IGNORECASE
)
_IN_ADDRESS = re.compile(r"://[^/?#@]*:[^/?#@]+@")
_IN_PARAMETERS = re.compile(r"(passw(or)?d|pwd|secret|token|access.?key)\w*\s*=\s*[^\s&;]", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a property of this name holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _NO_SECRET_NAME.search(name)


def holds_literal_secret(text: str, name: str = "") -> bool:
    """Whether a value, as it stands in a wiring, holds a password of its own rather than the name of a variable."""
    literal = _NAMED.sub("", text)
    if is_secret_name(name) and literal.lower() not in ("", "true", "false") and not literal.isdecimal():
        return True
    return bool(_IN_ADDRESS.search(literal) or _IN_PARAMETERS.search(literal))


def names_variable(text: str) -> bool:
    """Whether a value holds something that comes from the environment."""
    return "${" in text


def expand_text(text: str, pointer: str) -> str:
    """The text with `${NAME}` and a leading `~/` expanded.

    ENVIRONMENT_UNFIT, naming the pointer and the variable, for one that is not set or no text, and for a user without a
    home.
    """

    def read(found: re.Match[str]) -> str:
        """The value of one variable."""
        name = found[1]
        if not (_VARIABLE.fullmatch(name) and found[0].endswith("}")):
            raise _refuse(pointer, "holds a ${ that names no variable; ${NAME} is required")
        value = os.environ.get(name)
        if value is None:
            raise _refuse(pointer, f"names the variable {name}, which is not set")
        if not value.isprintable():
            raise _refuse(pointer, f"names the variable {name}, which is no printable text")
        return value

    return _NAMED.sub(read, _HOME.sub(lambda found: f"{found[1]}{_find_home(pointer)}/", text))


def _find_home(pointer: str) -> str:
    home = os.path.expanduser("~")
    if home == "~":
        raise _refuse(pointer, "begins with ~/, and this user has no home: set HOME")
    return home.rstrip("/")


def _refuse(pointer: str, message: str) -> Refusal:
    return refuse("ENVIRONMENT_UNFIT", f"the wiring: {pointer} {message}", pointer=pointer)
