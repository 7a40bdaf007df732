"""What was meant by a name that is none of those known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def find_nearest(name: str, known: Iterable[str], least: float) -> str:
    """The known name that resembles `name` most, whatever their case; "" where none does by `least`, 0 to 1."""
    folded = {one.casefold(): one for one in known}
    near = get_close_matches(name.casefold(), folded, 1, least)
    return folded[near[0]] if near else ""
