"""When the counts of a replay add up; apart from the accounts, because a look at a receipt needs none of their loops."""

from __future__ import annotations

from collections.abc import Mapping


def has_closed(counts: Mapping[str, int]) -> bool:
    """Whether the counts add up: each delivery is a position or a copy of one, each position came to one end."""
    settled = sum(counts[name] for name in ("rows", "redeliveries", "conflicts", "out_of_scope", "invalid"))
    return counts["positions"] == settled and counts["delivered"] == counts["positions"] + counts["position_duplicates"]
