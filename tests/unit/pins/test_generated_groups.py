"""Every valid group, drawn: it compiles to the columns it means, and to the same program again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ofs_spark.pins.profile.compile import compile_profile
from ofs_spark.pins.profile.faults import Digits
from tests.oracle.features import column_names
from tests.worlds.groups import CORE, groups
from tests.worlds.model import profile

CORE_NAMES = [f"core_features__{name}" for name in ("event_count", "amount_sum", "last_event_ts_utc")]


def digits(value: Any) -> Any:
    """A document as a profile file is read: numbers by their digits."""
    if isinstance(value, dict):
        return {name: digits(item) for name, item in value.items()}
    if isinstance(value, list):
        return [digits(item) for item in value]
    return value if isinstance(value, bool | str | None) else Digits(str(value))


@given(st.lists(groups(), min_size=1, max_size=3), st.booleans())
def test_every_valid_group_compiles_to_the_columns_it_means(drawn: list[dict[str, Any]], core: bool) -> None:
    named = [{**group, "name": f"g{i}"} for i, group in enumerate(drawn)]
    document = digits(profile(*named, *([CORE] if core else [])))
    made = compile_profile(document, "world", "v1")
    names = [name for group in named for name in column_names(group)]
    assert [column.name for column in made.program.feature_columns] == names + (CORE_NAMES if core else [])
    assert [group.online_core is not None for group in made.program.groups] == [False] * len(named) + [True] * core
    assert compile_profile(document, "world", "v1") == made
