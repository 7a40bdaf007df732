"""The arithmetic of every aggregate and derived column in exact numbers, as a sentence and as what it comes to.

It is made of the events that the kernel counts, by other means than the kernel's: plain fractions. That both come to one
value is what an explanation is worth, so `require_agreement` compares them. docs/explain.md shows the sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ofs_spark.features.explain_terms import (
    Exact,
    Root,
    Told,
    is_nearest_root,
    round_fraction,
    write_fraction,
    write_value,
)
from ofs_spark.foundation.clock import SECOND_US, format_instant
from ofs_spark.foundation.errors import InternalError
from ofs_spark.foundation.wording import write_count
from ofs_spark.pins.profile.model import Operation

_FIRST, _LAST = 8, 2
"""Terms that are written out at the beginning and at the end of a longer row of them."""


@dataclass(frozen=True)
class Terms:
    """What an aggregate is told of: the events that count, oldest first.

    name: of the value, "" where it has none; values: one per counted event, empty without a value; times: µs; met: how
    many of the window's events meet the condition, of all of them; anchor_ts: µs.
    """

    name: str
    scale: int
    values: Sequence[Any]
    times: Sequence[int]
    met: int
    anchor_ts: int
    empty_zero: bool


def tell_aggregate(aggregate: str, terms: Terms) -> Told:
    """What the aggregate comes to, and how."""
    return TELLERS[aggregate](terms)


def tell_derived(op: Operation, names: tuple[str, str], left: Exact, right: Exact) -> Told:
    """ratio or difference of two exact operands; a root has become its float64 before."""
    sign = "÷" if op == "ratio" else "−"
    shown = f"{names[0]} {sign} {names[1]}"
    a, b = _read_operand(left), _read_operand(right)
    if a is None or b is None:
        missing = names[0] if a is None else names[1]
        return Told(f"{shown}: {missing} is null: null", None)
    if op == "ratio" and b == 0:
        return Told(f"{shown}: {names[1]} is 0: null", None)
    exact = a / b if op == "ratio" else a - b
    return Told(f"{shown} = {_enclose(a)} {sign} {_enclose(b)} = {_conclude(exact)}", exact)


def require_agreement(column: str, told: Told, value: Any) -> None:
    """InternalError unless the arithmetic comes to what the kernel computed."""
    if not _is_value(told.exact, value):
        raise InternalError(f"{column}: the arithmetic is {told.text!r}, the kernel's value {value!r}")


def _is_value(exact: Exact, value: Any) -> bool:
    if exact is None or value is None:
        return value is None and (exact is None or (isinstance(exact, Fraction) and round_fraction(exact) is None))
    if isinstance(exact, Root):
        return is_nearest_root(exact.square, value)
    if isinstance(exact, Fraction):
        return Fraction(value) == exact if isinstance(value, Decimal) else bool(round_fraction(exact) == value)
    return type(exact) is type(value) and bool(exact == value)


def _read_operand(exact: Exact) -> Fraction | None:
    if isinstance(exact, float | int):
        return Fraction(exact)
    if exact is None or isinstance(exact, Fraction):
        return exact
    raise InternalError("a text, a boolean or a root is no operand")


def _enclose(value: Fraction) -> str:
    text = write_fraction(value)
    return f"({text})" if "/" in text or text.startswith("-") else text


def _conclude(exact: Fraction) -> str:
    """The exact result and, where a float64 is not written like it, the one that it is rounded to."""
    rounded = round_fraction(exact)
    if rounded is None:
        return f"{write_fraction(exact)}, beyond float64: null"
    shown = write_fraction(exact)
    return shown if Fraction(repr(rounded)) == exact else f"{shown}, rounded once to {rounded!r}"


def _name(terms: Terms) -> str:
    return f" of {terms.name}" if terms.name else ""


def _list_terms(terms: Terms, between: str, values: Sequence[Any] | None = None) -> str:
    written = [write_value(value, terms.scale) for value in (terms.values if values is None else values)]
    if len(written) > _FIRST + _LAST:
        written = [*written[:_FIRST], "…", *written[-_LAST:]]
    return between.join(written)


def _tell_nothing(what: str, terms: Terms) -> Told:
    return Told(f"{what}{_name(terms)}: no value counts: null", None)


def _tell_count(terms: Terms) -> Told:
    n = len(terms.times)
    valued = f" with a value of {terms.name}" if terms.name else ""
    return Told(f"{write_count(n, f'event{valued} counts', f'events{valued} count')}: {n}", n)


def _tell_count_distinct(terms: Terms) -> Told:
    distinct = list(dict.fromkeys(terms.values))
    shown = f": {_list_terms(terms, ', ', distinct)}" if distinct else ""
    told = f"{write_count(len(distinct), 'different value')} among {len(terms.values)}{_name(terms)}{shown}"
    return Told(told, len(distinct))


def _tell_sum(terms: Terms) -> Told:
    if not terms.values:
        zero = Fraction(0)
        return (
            Told(f"sum{_name(terms)}: no value counts, and empty is zero: 0", zero)
            if terms.empty_zero
            else (_tell_nothing("sum", terms))
        )
    total = sum(terms.values, Fraction(0))
    return Told(f"sum of {_describe_terms(terms, ' + ')} = {_conclude(total)}", total)


def _describe_terms(terms: Terms, between: str) -> str:
    n = len(terms.values)
    return f"{n} value{'s' if n > 1 else ''}{_name(terms)}: {_list_terms(terms, between)}"


def _tell_mean(terms: Terms) -> Told:
    if not terms.values:
        return _tell_nothing("mean", terms)
    total, n = sum(terms.values, Fraction(0)), len(terms.values)
    exact = total / n
    shown = f"({_list_terms(terms, ' + ')}) ÷ {n} = {write_fraction(total)} ÷ {n} = {_conclude(exact)}"
    return Told(f"mean of {n} value{'s' if n > 1 else ''}{_name(terms)}: {shown}", exact)


def _tell_stddev(what: str, terms: Terms, freedom: int) -> Told:
    n = len(terms.values)
    if n == 0 or n <= freedom:
        return _tell_nothing(what, terms) if n == 0 else Told(f"{what}{_name(terms)}: of one value null", None)
    total, squares = sum(terms.values, Fraction(0)), sum((x * x for x in terms.values), Fraction(0))
    square = (n * squares - total * total) / (n * (n - freedom))
    below = f"{n}²" if not freedom else f"({n} · {n - freedom})"
    sums = f"n = {n}, Σx = {write_fraction(total)}, Σx² = {write_fraction(squares)}"
    rule = f"√(({n} · {write_fraction(squares)} − {_enclose(total)}²) ÷ {below}) = √({write_fraction(square)})"
    return Told(f"{what}{_name(terms)}: {sums}; {rule}", Root(square))


def _tell_extreme(word: str, choose: Callable[[Sequence[Any]], Any]) -> Callable[[Terms], Told]:
    def tell(terms: Terms) -> Told:
        """The extreme of what counts."""
        if not terms.values:
            return _tell_nothing(f"{word} value", terms)
        value = choose(terms.values)
        return Told(f"{word} of {_describe_terms(terms, ', ')}: {write_value(value, terms.scale)}", value)

    return tell


def _order_text(value: Any) -> Any:
    """Texts order by their code points."""
    return value.encode() if isinstance(value, str) else value


def _tell_place(word: str, place: int) -> Callable[[Terms], Told]:
    def tell(terms: Terms) -> Told:
        """The value at one end of the order."""
        if not terms.values:
            return _tell_nothing(f"{word} value", terms)
        value, at = terms.values[place], format_instant(terms.times[place])
        among = f"{len(terms.values)} value{'s' if len(terms.values) > 1 else ''}"
        return Told(f"{word} of {among}{_name(terms)}, of {at}: {write_value(value, terms.scale)}", value)

    return tell


def _tell_rate(terms: Terms) -> Told:
    n = len(terms.times)
    if not n:
        return Told("rate: no event is in the window: null", None)
    exact = Fraction(terms.met, n)
    return Told(
        f"{terms.met} of {write_count(n, 'event')} {'meets' if terms.met == 1 else 'meet'} the condition: "
        f"{terms.met} ÷ {n} = {_conclude(exact)}",
        exact,
    )


def _tell_since(word: str, place: int) -> Callable[[Terms], Told]:
    def tell(terms: Terms) -> Told:
        """Seconds between an event and the anchor."""
        if not terms.times:
            return Told(f"time since the {word} event: no event counts: null", None)
        exact = Fraction(terms.anchor_ts - terms.times[place], SECOND_US)
        ends = f"{format_instant(terms.anchor_ts)} − {format_instant(terms.times[place])}"
        among = f"{len(terms.times)} event{'s' if len(terms.times) > 1 else ''}"
        return Told(f"seconds since the {word} of {among}: {ends} = {_conclude(exact)}", exact)

    return tell


TELLERS: Mapping[str, Callable[[Terms], Told]] = {
    "count": _tell_count,
    "count_distinct": _tell_count_distinct,
    "sum": _tell_sum,
    "mean": _tell_mean,
    "stddev_pop": lambda terms: _tell_stddev("population standard deviation", terms, 0),
    "stddev_samp": lambda terms: _tell_stddev("sample standard deviation", terms, 1),
    "min": _tell_extreme("least", lambda values: min(values, key=_order_text)),
    "max": _tell_extreme("greatest", lambda values: max(values, key=_order_text)),
    "first": _tell_place("oldest", 0),
    "last": _tell_place("newest", -1),
    "rate": _tell_rate,
    "time_since_first": _tell_since("oldest", 0),
    "time_since_previous": _tell_since("newest other", -1),
}
"""Aggregate → its sentence; one for every aggregate that this release computes."""
