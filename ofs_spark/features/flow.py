"""The order of the exchanges and what each one carries: pure planning over a `Program`.

One exchange by event id, then one per distinct entity key. Keys whose groups add the fewest bytes to a row come first,
so that wide output travels least; equals keep the profile's order. Every step carries only what a later step reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from ofs_spark.pins.columns import Column, find_type
from ofs_spark.pins.profile.compiler import list_columns
from ofs_spark.pins.profile.model import Group, Program
from ofs_spark.replay import rows as r

_BASE = (r.EVENT_ID, r.EVENT_TYPE, r.TS, r.PARTITION_ORDINAL, r.SEQ, r.OFFSET, r.ARRIVAL, r.FLAGS)


@dataclass(frozen=True)
class KeyStep:
    """One exchange by entity key: the key, its groups (with their ordinals in the program), the columns it is sent."""

    key: int
    groups: tuple[int, ...]
    inputs: tuple[str, ...]


def plan_key_steps(program: Program, carried: tuple[str, ...] = ()) -> tuple[KeyStep, ...]:
    """The exchanges by entity key, in order; the last one's key is the layout key. `carried` columns travel all the way."""
    keys = list(dict.fromkeys(group.key for group in program.groups))
    ordered = sorted(keys, key=lambda key: (_count_output_bytes(program, key), keys.index(key)))
    steps: list[KeyStep] = []
    for position, key in enumerate(ordered):
        later = ordered[position:]
        needed = [name for k in later for name in _list_inputs(program, k)]
        computed = [c.name for k in ordered[:position] for c in select_columns(program, k)]
        inputs = tuple(dict.fromkeys([*_BASE, *needed, *computed, *carried]))
        steps.append(KeyStep(key, _find_groups(program, key), inputs))
    return tuple(steps)


def select_columns(program: Program, key: int) -> list[Column]:
    """Feature columns of the groups of `key`, in the program's order."""
    names = {name for g in _find_groups(program, key) for name in list_columns(program.groups[g])}
    return [c for c in program.feature_columns if c.name in names]


def name_key_columns(program: Program, key: int) -> list[str]:
    """Columns that hold the parts of an entity key."""
    entity = program.keys[key]
    if entity.online_core is not None:
        return [r.name_core_key_column(entity.online_core)]
    return [r.name_read_column(part) for part in entity.parts]


def list_kernel_inputs(program: Program, groups: tuple[int, ...]) -> list[str]:
    """The columns that the kernels of some groups read of a row."""
    of_groups = [name for index in groups for name in _list_group_inputs(program.groups[index])]
    return list(dict.fromkeys([r.TS, r.PARTITION_ORDINAL, r.SEQ, r.ARRIVAL, r.FLAGS, *of_groups]))


def measure_reach(program: Program, groups: tuple[int, ...]) -> int | None:
    """How far back, in µs, the widest window of some groups reaches; None where one reaches back to the key's first row."""
    reach = 0
    for group in (program.groups[index] for index in groups):
        if group.online_core is not None:
            return None
        for feature in group.features:
            if feature.window_us is None:
                return None
            reach = max(reach, feature.window_us + feature.delay_us)
    return reach


def combine_source_flags(groups: tuple[int, ...]) -> int:
    """Flags of the source events of any of `groups`."""
    return sum(r.flag_source(g) for g in groups)


def _find_groups(program: Program, key: int) -> tuple[int, ...]:
    return tuple(i for i, group in enumerate(program.groups) if group.key == key)


def _list_inputs(program: Program, key: int) -> list[str]:
    names = name_key_columns(program, key)
    if program.keys[key].online_core is None:
        names += [r.name_status_column(part) for part in program.keys[key].parts]
    for index in _find_groups(program, key):
        names += _list_group_inputs(program.groups[index])
    return names


def _list_group_inputs(group: Group) -> list[str]:
    names = [name for v in group.values for name in (r.name_read_column(v.read), r.name_status_column(v.read))]
    names += [r.name_condition_column(f.where) for f in group.features if f.where is not None]
    return names + ([r.name_core_amount_column(group.online_core), r.TS_TEXT] if group.online_core is not None else [])


def _count_output_bytes(program: Program, key: int) -> int:
    return sum(find_type(c.type).width for c in select_columns(program, key))
