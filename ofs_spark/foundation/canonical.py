"""Canonical JSON and the identity hash `H`; refuses every value the law does not know.

The law: `canon(x)` is `json.dumps(x, sort_keys=True, ensure_ascii=True, separators=(",", ":"))` as UTF-8, and
`H(x)` is the lower-case hex SHA-256 of it. Exactly null, bool, int, finite float, str, list and dict with str keys are
values; a tuple, a Decimal, a subclass of one of them, a lone surrogate or a key that is not text is refused, never
coerced: two values that print alike must be one value.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ofs_spark.foundation.wording import write_count

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_DIGITS = 1_000
"""Of one integer. Offsets, which may be longer than a machine word, are text; nothing real comes near."""

_MAX_INTEGER = 10**MAX_DIGITS
_SURROGATE = re.compile("[\ud800-\udfff]")
_LEAVES = frozenset({str, int, float, bool, type(None)})


class CanonicalError(ValueError):
    """A value or a text outside the law. The message names the place and the reason."""


def encode_canonical(value: Any, *, max_depth: int = MAX_DEPTH) -> bytes:
    """The one text of `value`: equal values give equal bytes, different values different bytes.

    Raises CanonicalError for anything the law does not know, and for nesting beyond `max_depth`.
    """
    _check(value, max_depth)
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def digest(value: Any) -> str:
    """`H(value)`: 64 lower-case hex digits. Raises CanonicalError as `canonical_json` does."""
    return hashlib.sha256(encode_canonical(value)).hexdigest()


def parse_json(
    data: bytes | str, *, what: str = "document", max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> Any:
    """The value of one JSON text, exactly as written, or CanonicalError.

    Stricter than the standard library: UTF-8 without a byte order mark; no duplicate keys, NaN, Infinity or lone
    surrogates; no number that a float64 would change (its shortest text must be the same number), no integer beyond
    MAX_DIGITS. `what` names the document in messages; `max_bytes` is checked before anything is parsed.
    """
    text = _read_text(data, what, max_bytes)
    try:
        value = _DECODER.decode(text)
    except CanonicalError as error:
        raise CanonicalError(f"{what}: {error}") from None
    except json.JSONDecodeError as error:
        raise CanonicalError(f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise CanonicalError(f"{what} is nested deeper than {max_depth} levels") from None
    try:
        _check(value, max_depth)
    except CanonicalError as error:
        raise CanonicalError(f"{what}: {error}") from None
    return value


def find_depth(value: Any) -> int:
    """Levels of lists and objects in a JSON value."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, list | dict)]:
        depth += 1
        level = [below for one in level for below in (one.values() if isinstance(one, dict) else one)]
    return depth


def _read_text(data: bytes | str, what: str, max_bytes: int) -> str:
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise CanonicalError(f"{what} has {write_count(size, 'byte')}, at most {max_bytes:,} are read")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise CanonicalError(f"{what} is not UTF-8: byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise CanonicalError(f"{what} starts with a byte order mark")
    return text


def _check(root: Any, max_depth: int) -> None:
    """Walks without recursion, so that no depth can exhaust the stack; a cycle ends at `max_depth`."""
    stack: list[Iterator[Any]] = [iter((root,))]
    while stack:
        for value in stack[-1]:
            kind = type(value)
            if kind is list or kind is dict:
                if len(stack) > max_depth:
                    raise CanonicalError(f"nested deeper than {max_depth} levels")
                if kind is dict:
                    _check_keys(value)
                stack.append(iter(value if kind is list else value.values()))
                break
            if kind not in _LEAVES:
                raise CanonicalError(f"a {kind.__name__} is not a JSON value")
            _check_leaf(value)
        else:
            stack.pop()


def _check_keys(mapping: dict[Any, Any]) -> None:
    for key in mapping:
        if type(key) is not str:
            raise CanonicalError(f"a key is a {type(key).__name__}, not text")
        _check_leaf(key)


def _check_leaf(value: Any) -> None:
    if type(value) is str:
        if not value.isascii() and _SURROGATE.search(value):
            raise CanonicalError("a text holds an unpaired surrogate")
    elif type(value) is float:
        if not math.isfinite(value):
            raise CanonicalError(f"{value} is not a JSON number")
    elif type(value) is int and not -_MAX_INTEGER < value < _MAX_INTEGER:
        raise CanonicalError(f"an integer has more than {MAX_DIGITS} digits")


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        doubled, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise CanonicalError(f"key {json.dumps(doubled)} appears twice in one object")
    return found


def _parse_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise CanonicalError(f"an integer has more than {MAX_DIGITS} digits")
    return int(text)


def _parse_float(text: str) -> float:
    value = float(text)
    if len(text) > MAX_DIGITS or not math.isfinite(value) or Decimal(text) != Decimal(repr(value)):
        raise CanonicalError(f"the number {text[:60]} does not survive as a float64")
    return value


def _refuse_constant(text: str) -> Any:
    raise CanonicalError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object,
    parse_float=_parse_float,
    parse_int=_parse_integer,
    parse_constant=_refuse_constant,
)
