"""YAML as far as documents need it: mappings, lists, text, booleans, null and decimal numbers; nothing else.

The core schema of YAML 1.2 decides what a plain scalar is: `yes`, `no`, `on` and `off` are text. Anchors and aliases are
read; the document they unfold to keeps the limits of size and depth. Refused: tags, merge keys, doubled or non-text
keys, unquoted dates, numbers that are not plain decimals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from ofs_spark.foundation.canonical import MAX_DEPTH, MAX_DIGITS, CanonicalError
from ofs_spark.foundation.wording import write_count

MAX_YAML_BYTES = 1024 * 1024

_NULL, _BOOL, _NUMBER, _DATE, _ODD = ("tag:ofs:" + name for name in ("null", "bool", "number", "date", "odd"))

_OTHER_NUMBERS = (
    r"\.[0-9]+|[0-9][0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+|\.(inf|Inf|INF|nan|NaN|NAN)"
    r"|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
)
"""What YAML 1.1 or 1.2 would read as a number in a way of its own: octal, hexadecimal, sexagesimal, 1_000, .5, +1."""


class _Loader(yaml.SafeLoader):
    """Composes nodes of the plain types above, with line numbers in every complaint."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node; CanonicalError for a tag or too much nesting."""
        peek: Callable[[], Any] = self.peek_event  # the library leaves it untyped
        event = peek()
        line = event.start_mark.line + 1
        if getattr(event, "tag", None) is not None:
            raise CanonicalError(f"line {line}: tags are not read")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CanonicalError(f"line {line}: nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (_NUMBER, r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-0123456789")),
    (_DATE, r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", list("0123456789")),
    (_ODD, rf"[-+]?({_OTHER_NUMBERS})", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})\\Z"), _first)


def parse_yaml(
    data: bytes, *, what: str = "document", number: Callable[[str], Any] | None = None, quote: bool = True
) -> Any:
    """The value of one YAML document, or CanonicalError naming the line.

    `number` turns a decimal's text into a value (default: int, or float where it has a point or an exponent). `quote`:
    messages may hold what stands there; False for a document that may hold secrets.
    """
    if len(data) > MAX_YAML_BYTES:
        raise CanonicalError(f"{what} has {write_count(len(data), 'byte')}, at most {MAX_YAML_BYTES:,} are read")
    try:
        node = yaml.compose(data.decode("utf-8"), Loader=_Loader)
        return None if node is None else _Unfolding(number or _read_number, quote).read(node, 1)
    except UnicodeDecodeError as error:
        raise CanonicalError(f"{what} is not UTF-8: byte {error.start}") from None
    except yaml.YAMLError as error:
        raise CanonicalError(f"{what} is not YAML: {_describe_error(error, quote)}") from None
    except CanonicalError as error:
        raise CanonicalError(f"{what}: {error}") from None


def _describe_error(error: yaml.YAMLError, quote: bool) -> str:
    """The library's words, which quote the text; without them the place alone."""
    if quote:
        return " ".join(str(error).split())[:300]
    mark = getattr(error, "problem_mark", None)
    return "a character is not allowed" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"


def _read_number(text: str) -> int | float:
    value = float(text)
    if not math.isfinite(value):
        raise CanonicalError(f"the number {text[:40]} is beyond float64")
    return int(text) if text.lstrip("-").isdecimal() else value


@dataclass
class _Unfolding:
    """Turns nodes into values, aliases unfolded, and counts what that comes to."""

    number: Callable[[str], Any]
    quote: bool = True
    size: int = 0

    def read(self, node: yaml.Node, depth: int) -> Any:
        """The node's value. CanonicalError where the unfolded document is too large or too deep."""
        line = node.start_mark.line + 1
        self.size += 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)
        if self.size > MAX_YAML_BYTES or depth > MAX_DEPTH:
            limits = f"{MAX_YAML_BYTES} characters or {MAX_DEPTH} levels"
            raise CanonicalError(f"line {line}: aliases unfold to more than {limits}")
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, depth + 1) for item in node.value]
        return self._read_mapping(node, depth) if isinstance(node, yaml.MappingNode) else self._read_scalar(node, line)

    def _read_mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name, line = self.read(key, depth + 1), key.start_mark.line + 1
            if not isinstance(name, str) or name == "<<":
                raise CanonicalError(f"line {line}: a key is text; quote {self._show(name)} if it is meant as text")
            if name in found:
                raise CanonicalError(f"line {line}: key {self._show(name)} appears twice")
            found[name] = self.read(value, depth + 1)
        return found

    def _read_scalar(self, node: yaml.Node, line: int) -> Any:
        if node.tag == _NUMBER and len(node.value) > MAX_DIGITS:
            raise CanonicalError(f"line {line}: a number has more than {MAX_DIGITS} digits")
        if node.tag == _NUMBER:
            return self.number(node.value)
        if node.tag in (_DATE, _ODD):
            kind = "date" if node.tag == _DATE else "number that is no plain decimal"
            raise CanonicalError(f"line {line}: {self._show(node.value)} is an unquoted {kind}")
        return {_NULL: None, _BOOL: node.value.lower() == "true"}.get(node.tag, node.value)

    def _show(self, value: Any) -> str:
        return repr(value)[:80] if self.quote else "what stands there"
