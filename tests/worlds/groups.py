"""Valid feature groups of every kind, drawn over the fields of `payloads`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.worlds.model import window
from tests.worlds.payloads import NUMERIC, SPREADABLE, SUMMABLE, TYPES, conditions

CORE = {"name": "core_features", "version": "v1", "key_type": "flow_id"}
ANY = tuple(TYPES)
VALUED: dict[str, tuple[str, ...]] = {
    "count": ANY,
    "sum": SUMMABLE,
    "mean": SUMMABLE,
    "min": ANY,
    "max": ANY,
    "stddev_pop": SPREADABLE,
    "stddev_samp": SPREADABLE,
    "count_distinct": ANY,
    "first": ANY,
    "last": ANY,
}
BARE = ("count", "rate", "time_since_first", "time_since_previous")
EXACT = ("sum", "min", "max", "first", "last")


@st.composite
def features(draw: st.DrawFn, name: str, windows: list[str]) -> dict[str, Any]:
    aggregate = draw(st.sampled_from([*VALUED, *BARE]))
    feature: dict[str, Any] = {"name": name, "aggregate": aggregate}
    if aggregate in VALUED and not (aggregate == "count" and draw(st.booleans())):
        feature["value"] = draw(st.sampled_from(VALUED[aggregate]))
    if aggregate == "rate" or draw(st.integers(0, 3)) == 0:
        feature["where"] = draw(conditions())
    if windows and draw(st.integers(0, 2)) == 0:
        feature["windows"] = draw(st.lists(st.sampled_from(windows), unique=True, max_size=2))
    if draw(st.integers(0, 5)) == 0:
        feature["delay"] = draw(st.sampled_from(["0s", "1s", "1h"]))
    if aggregate == "sum" and draw(st.booleans()):
        feature["empty"] = "zero"
    if aggregate in EXACT and feature.get("value") in SUMMABLE and draw(st.booleans()):
        feature["output"] = "exact"
    return feature


def operands(group: dict[str, Any]) -> list[str]:
    """Every name that a derived feature may use: numeric values, and columns of numeric features."""
    names = [value for value in group["values"] if value in NUMERIC]
    for f in group["features"]:
        if f.get("value") in ("s", "b") and f["aggregate"] in ("min", "max", "first", "last"):
            continue
        suffixes = [f"_{w}" for w in f.get("windows", [w["window"] for w in group["windows"]])] or [""]
        names += [f["name"] + suffix for suffix in suffixes]
    return names


@st.composite
def groups(draw: st.DrawFn, name: str = "g") -> dict[str, Any]:
    """An extension group; its features are f0, f1, …, its derived ones d0, d1, …"""
    windows = draw(st.lists(st.sampled_from(["1s", "1h", "24h", "7d"]), unique=True, max_size=2))
    drawn = [draw(features(f"f{i}", windows)) for i in range(draw(st.integers(1, 4)))]
    used = {f["value"] for f in drawn if "value" in f} | {draw(st.sampled_from(ANY))}
    rule = st.sampled_from(["null", "zero"])
    values = {
        v: {"path": f"payload.{v}", "type": TYPES[v], "missing": draw(rule) if v in NUMERIC else "null"}
        for v in sorted(used)
    }
    group: dict[str, Any] = {
        "name": name,
        "version": "v1",
        "key": draw(
            st.sampled_from([["payload.card"], ["payload.card"], ["payload.shop"], ["payload.card", "payload.shop"]])
        ),
        "values": values,
        "windows": [window(w) for w in windows],
        "features": drawn,
    }
    group |= draw(st.fixed_dictionaries({}, optional=OPTIONS))
    names = operands(group)
    if draw(st.booleans()) and names:
        pair = st.lists(st.sampled_from(names), min_size=2, max_size=2)
        kinds = draw(st.lists(st.sampled_from(["ratio", "difference"]), min_size=1, max_size=2))
        group["derived"] = [{"name": f"d{i}", kind: draw(pair)} for i, kind in enumerate(kinds)]
    return group


OWN = {
    **{f"payload.{name}": type_ for name, type_ in TYPES.items()},
    'payload."s"': "string",
    "payload.nested.absent": "decimal(38,38)",
    "payload.unread": "string",
    "event_type": "string",
    "scenario_run_id": "string",
}
"""Path → type of what a row may keep of its own event."""


@st.composite
def own_columns(draw: st.DrawFn) -> dict[str, Any]:
    """What a feature set keeps of a row's own event, most often nothing."""
    kept: dict[str, Any] = {}
    if draw(st.integers(0, 2)) == 0:
        paths = draw(st.lists(st.sampled_from(list(OWN)), max_size=5))
        kept["anchor"] = [{"name": f"a{i}", "path": path, "type": OWN[path]} for i, path in enumerate(paths)]
    if draw(st.integers(0, 2)) == 0:
        kept["keep_keys"] = draw(st.booleans())
    return kept


OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "knowledge": st.sampled_from(["as_observed", "event_time"]),
    "include_anchor": st.booleans(),
    "delay": st.sampled_from(["1s", "1h"]),
    "source": st.sampled_from([{"event_types": ["card_payment"]}, {"event_types": ["login", "refund"]}]),
}
