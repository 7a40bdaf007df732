"""What a ref may look like.

A *ref* is a path relative to the object root (`platform_…/ofs/manifests/dm_….json`) or the full address of the same.
"""

from __future__ import annotations

from ofs_spark.foundation.errors import refuse, show_text

MOST_REF = 1024
"""Characters of a ref."""
MOST_PART = 255
"""UTF-8 bytes of one part: file systems and object stores take no more."""


def check_relative(ref: str) -> tuple[str, ...]:
    r"""The parts of a relative ref.

    REF_SCOPE_INVALID for `.`, `..`, an empty part (so for a leading `/` and for other roots: `s3://…`), `\`, what is
    not printable (control characters, lone surrogates), and what is too long. Any other character is a part of a name.
    """
    parts = tuple(ref.split("/"))
    if len(ref) > MOST_REF or not all(map(_is_name, parts)):
        message = f"{show_text(ref)}: a ref is a path inside the object root, of printable characters, without .. or \\"
        raise refuse("REF_SCOPE_INVALID", message, ref=show_text(ref))
    return parts


def _is_name(part: str) -> bool:
    return part not in ("", ".", "..") and "\\" not in part and part.isprintable() and len(part.encode()) <= MOST_PART
