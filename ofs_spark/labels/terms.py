"""The label terms of a dataset: which types, by which rule, known up to when, and how many are enough. Resolved once.

The plan, the build job, the receipt, the gates and verification read this value, or what a document holds of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ofs_spark.foundation.clock import DAY_US, parse_instant
from ofs_spark.foundation.collect import refuse_all
from ofs_spark.foundation.contracts import DocumentFault, format_pointer, shorten
from ofs_spark.foundation.errors import refuse
from ofs_spark.intent.model import Intent, Posture, Scope
from ofs_spark.labels.coverage_policy import MINIMA, POLICY_POINTER, CoveragePolicy, choose_policy, find_policy_faults

VOCABULARY = MappingProxyType(
    {
        "account_takeover": ("ATO_CONFIRMED", "ATO_NOT_CONFIRMED", "ATO_SUSPECTED"),
        "chargeback_status": ("CHARGEBACK", "NO_CHARGEBACK", "PENDING"),
        "fraud_disposition": ("FRAUD_CONFIRMED", "FRAUD_SUSPECTED", "LEGIT_CONFIRMED"),
    }
)
"""Label type → the values it may have."""

RESOLVED_RULE = "ls.resolved.v0"
LATEST_RULE = "ls.latest_observed.v0"
RULES = MappingProxyType(
    {
        RESOLVED_RULE: RESOLVED_RULE,
        "observed_time<=label_asof_utc": RESOLVED_RULE,
        "latest_observed_asof": RESOLVED_RULE,
        LATEST_RULE: LATEST_RULE,
    }
)
"""Every accepted rule name → the rule it means."""

JOIN_SCOPE, FILTERS = "/join_scope/label_types", "/filters/label_types"


@dataclass(frozen=True)
class LabelTerms:
    """What the intent and the policy say of labels; nothing of it depends on the labels themselves.

    `types`: ascending, empty for a dataset without labels. `rule`: the rule that the intent's name or alias means.
    """

    types: tuple[str, ...]
    rule: str
    posture: Posture
    label_asof_utc: str
    maturity_days: int | None
    policy: CoveragePolicy

    @property
    def eligible_until_us(self) -> int | None:
        """The last instant at which a counted assertion was observed, µs; None under KNOW_NOW: every one is eligible."""
        return self._asof_us if self.posture == "KNEW_THEN" else None

    @property
    def mature_until_us(self) -> int:
        """The last instant, µs, of a mature anchor or label: the as-of less the days of maturity."""
        return find_mature_until_us(self.label_asof_utc, self.maturity_days)

    def find_cutoff_us(self, committed_up_to_utc: str) -> int:
        """`find_cutoff` of these terms and the pinned store state, in µs."""
        return parse_instant(find_cutoff(self.posture, self.label_asof_utc, committed_up_to_utc))

    @property
    def _asof_us(self) -> int:
        return parse_instant(self.label_asof_utc)

    def to_document(self) -> dict[str, Any]:
        """The label basis, as receipts and manifests hold it."""
        named = ("rule", "posture", "label_asof_utc", "maturity_days")
        return {name: getattr(self, name) for name in named}


def resolve_terms(intent: Intent, scope: Scope, coverage: Mapping[str, Any], min_mature_anchors: float) -> LabelTerms:
    """The terms of an admitted intent. `coverage`, `min_mature_anchors`: the loaded policy's, for what it leaves open.

    LABEL_TYPE_SCOPE_UNRESOLVED or LABEL_POLICY_INVALID with every fault of the lists of types and of the stated coverage
    policy; LABEL_RULE_UNSUPPORTED as `resolve_rule`.
    """
    require_types(intent, scope)
    rule = resolve_rule(intent.resolution_rule)
    policy = choose_policy(scope.label_coverage_policy, coverage, min_mature_anchors)
    types = tuple(sorted(_choose_types(scope)))
    return LabelTerms(types, rule, intent.posture, intent.label_asof_text, intent.maturity_days, policy)


def require_types(intent: Intent, scope: Scope) -> None:
    """Returns if the lists of types and the stated coverage policy are sound; else refuses with every fault of them."""
    faults = [*find_type_faults(intent, scope), *find_policy_faults(scope.label_coverage_policy)]
    if faults:
        raise refuse_all(faults)


def resolve_rule(name: str) -> str:
    """The rule that a name or alias means. LABEL_RULE_UNSUPPORTED for any other name."""
    if name not in RULES:
        message = f"resolution_rule {name[:80]!r} is unknown; one of {sorted(RULES)} is required"
        raise refuse("LABEL_RULE_UNSUPPORTED", message, pointer="/label_basis/resolution_rule", supported=sorted(RULES))
    return RULES[name]


def find_mature_until_us(label_asof_utc: str, maturity_days: int | None) -> int:
    """The last instant, µs, of a mature anchor or label: the as-of less the days of maturity."""
    return parse_instant(label_asof_utc) - (maturity_days or 0) * DAY_US


def find_cutoff(posture: str, label_asof_utc: str, committed_up_to_utc: str) -> str:
    """The instant after which no label of the dataset was observed: the as-of; under KNOW_NOW the store's marker's."""
    return label_asof_utc if posture == "KNEW_THEN" else committed_up_to_utc


def find_type_faults(intent: Intent, scope: Scope) -> Iterator[DocumentFault]:
    """Why the label types are not resolved: LABEL_TYPE_SCOPE_UNRESOLVED, each at its place.

    Every name is of the vocabulary. The two lists name the same types, in any order. Types with a stated minimum are
    types of the scope. Something names a type; an empty list says that the dataset has no labels, which is no training
    dataset.
    """
    lists = {JOIN_SCOPE: scope.scope_label_types, FILTERS: scope.filter_label_types}
    for at, names in lists.items():
        yield from (
            _make_fault(f"{at}/{i}", _describe_unknown(name)) for i, name in enumerate(names or ()) if _is_odd(name)
        )
    first, second = lists.values()
    if first is not None and second is not None and set(first) != set(second):
        own, other = shorten(str(sorted(second))), shorten(str(sorted(first)))
        yield _make_fault(FILTERS, f"is {own}; join_scope.label_types is {other}: they must not differ")
    chosen = _choose_types(scope)
    for name in scope.min_coverage_types:
        at = f"{POLICY_POINTER}/{MINIMA}{format_pointer([name])}"
        if _is_odd(name):
            yield _make_fault(at, _describe_unknown(name))
        elif name not in chosen:
            within = shorten(str(sorted(chosen)))
            yield _make_fault(at, f"is a minimum for a type outside the scope, which is {within}")
    stated = first is not None or second is not None
    if not chosen and not (stated and intent.document.get("non_training_allowed")):
        yield _make_fault(
            JOIN_SCOPE,
            "names no label type: a dataset build needs join_scope.label_types, filters.label_types or a minimum "
            "coverage by type; an empty list is for datasets with non_training_allowed",
        )


def _choose_types(scope: Scope) -> frozenset[str]:
    """The types of join_scope, else of filters, else those with a stated minimum."""
    lists = (scope.scope_label_types, scope.filter_label_types, scope.min_coverage_types)
    return frozenset(next(names for names in lists if names is not None))


def _is_odd(name: str) -> bool:
    return name not in VOCABULARY


def _describe_unknown(name: str) -> str:
    return f"is {name[:80]!r}; one of {sorted(VOCABULARY)} is required"


def _make_fault(pointer: str, message: str) -> DocumentFault:
    return DocumentFault("LABEL_TYPE_SCOPE_UNRESOLVED", pointer, message)
