"""Which label was known when, and is that enough to train on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from tests.oracle.exact import Refused, exact, instant, micros
from tests.worlds.model import World

RESOLVED_RULES = ("ls.resolved.v0", "observed_time<=label_asof_utc", "latest_observed_asof")
LATEST_RULES = ("ls.latest_observed.v0",)
DAY = 86_400_000_000
VOCABULARY = {"fraud_disposition", "chargeback_status", "account_takeover"}
Assertion = Mapping[str, Any]
Choice = tuple[str, Assertion | None]


def resolve(eligible: list[Assertion], rule: str) -> Choice:
    """(status, chosen assertion) of one subject's eligible assertions of one type."""
    if not eligible:
        return ("NOT_FOUND", None)
    if rule in LATEST_RULES:
        return ("RESOLVED", max(eligible, key=lambda a: (micros(a["observed_time"]), a["label_assertion_id"])))
    newest = max((micros(a["effective_time"]), micros(a["observed_time"])) for a in eligible)
    tied = [a for a in eligible if (micros(a["effective_time"]), micros(a["observed_time"])) == newest]
    if len({a["label_value"] for a in tied}) > 1:
        return ("CONFLICT", None)
    return ("RESOLVED", max(tied, key=lambda a: a["label_assertion_id"]))


def known(world: World) -> list[Assertion]:
    """Eligible assertions: observed by the cut-off (KNEW_THEN) or every one of the extract (KNOW_NOW), each id once."""
    by_id: dict[str, Assertion] = {}
    for a in world.labels:
        if by_id.setdefault(a["label_assertion_id"], a) != a:
            raise Refused("LABEL_SCOPE_INVALID", a["label_assertion_id"])
        try:
            micros(a["observed_time"]), micros(a["effective_time"])
        except ValueError as bad:
            raise Refused("LABEL_SCOPE_INVALID", str(bad)) from bad
    basis = world.intent["label_basis"]
    asof = micros(basis["label_asof_utc"])
    everything = basis.get("posture") == "KNOW_NOW"
    return [a for a in by_id.values() if everything or micros(a["observed_time"]) <= asof]


def label_types(intent: Mapping[str, Any]) -> list[str]:
    """The types asked for, ascending: of the join scope, else of the filters, else those with a minimum."""
    scope, filters = intent.get("join_scope") or {}, intent.get("filters") or {}
    lists = [set(doc["label_types"]) for doc in (scope, filters) if "label_types" in doc]
    minima = set((filters.get("label_coverage_policy") or {}).get("min_coverage_by_label_type") or {})
    types = lists[0] if lists else minima
    without = lists and intent.get("non_training_allowed")  # an empty list: a dataset without labels, not to train on
    if any(other != types for other in lists) or not minima <= types <= VOCABULARY or not (types or without):
        raise Refused("LABEL_TYPE_SCOPE_UNRESOLVED")
    return sorted(types)


def columns(label_type: str, choice: Choice) -> dict[str, Any]:
    """A row's label columns: all null but the status unless RESOLVED."""
    status, a = choice
    name = f"label__{label_type}"
    return {
        name: a and a["label_value"],
        f"{name}__status": status,
        f"{name}__effective_time": a and instant(micros(a["effective_time"])),
        f"{name}__observed_time": a and instant(micros(a["observed_time"])),
        f"{name}__assertion_id": a and a["label_assertion_id"],
    }


def coverage(world: World, choices: Iterable[Choice], anchor_times: list[int]) -> dict[str, Fraction]:
    """Exact ratios over the anchors' subjects of one type."""
    listed = list(choices)
    chosen = [a for _, a in listed if a is not None]
    conflicts = sum(status == "CONFLICT" for status, _ in listed)
    basis = world.intent["label_basis"]
    ripe = micros(basis["label_asof_utc"]) - (basis.get("maturity_days") or 0) * DAY
    return {
        "coverage": Fraction(len(chosen), len(listed)),
        "conflict_ratio": Fraction(conflicts, len(listed)),
        "maturity_ratio": Fraction(len(chosen) + conflicts, len(listed)),
        "mature_anchor_ratio": Fraction(sum(ts <= ripe for ts in anchor_times), len(anchor_times)),
        "mature_label_ratio": Fraction(sum(micros(a["observed_time"]) <= ripe for a in chosen), len(chosen) or 1),
    }


def ready(world: World, ratios: Mapping[str, Mapping[str, Fraction]]) -> bool:
    """Whether every type has labels enough, few enough conflicts, and anchors old enough."""
    stated = (world.intent.get("filters") or {}).get("label_coverage_policy")
    policy = stated or world.policy.get("label_coverage_policy") or {}
    minima, most = policy.get("min_coverage_by_label_type") or {}, exact(policy.get("max_conflict_ratio", 0))
    oldest = exact(world.policy.get("min_mature_anchor_ratio", 0))
    return all(
        r["coverage"] >= exact(minima.get(label_type, 1))
        and r["conflict_ratio"] <= most
        and r["mature_anchor_ratio"] >= oldest
        for label_type, r in ratios.items()
    )
