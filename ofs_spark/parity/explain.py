"""Why an online snapshot says something else than the law: the simplest causes that give its states, each re-computed.

What explains every differing key at once is looked for first: where sums alone differ, one other way of adding them; other
ends, another profile revision, other key fields, other amount fields. What is left is explained key by key. A cause is told
only if computing with it gives exactly the anchor's state of every key it claims; what nothing gives is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ofs_spark.foundation.wording import write_count
from ofs_spark.parity.case import Bounds, Case, compose_state, find_field, is_well_formed, sort_applied
from ofs_spark.parity.causes import Cause, CauseKind, Explanation, Found, State
from ofs_spark.parity.differences import Differences, Features, is_same, is_same_state
from ofs_spark.parity.events import Ends, OnlineEvent, Place, Ruling
from ofs_spark.parity.explain_ends import explain_by_ends, has_longer_stretches
from ofs_spark.parity.explain_key import Finding, KeyCase, KeyFindings, Meter, explain_key, keep_first
from ofs_spark.parity.explain_order import explain_by_one_order, explain_by_order, find_moved
from ofs_spark.parity.explain_rules import (
    Revision,
    explain_by_amounts,
    explain_by_precedence,
    explain_by_revision,
    has_witness,
)
from ofs_spark.parity.ports import WholeBasis
from ofs_spark.pins.profile.model import OnlineCoreRules

REVISION = "feature_def_policy_rev"


@dataclass(frozen=True)
class Archive:
    """The deliveries an explanation computes with.

    `events`: every record that may have touched a looked-at key under any rules that are tried — its text in a payload
    field or as event id, whatever its type, class, run and pins, inside the basis or beyond it —, every record of the
    stretches in `whole`, and every other delivery of each of these events' ids. For other rules to be told from the fault
    of one key, deliveries of some keys that agree must be among them; a stretch around an end has some.
    `whole`: of each partition the stretch of orders (first, last, both inside) around its end of which every record is
    given; ends are moved only there. It begins at 0 for a partition without an end. `keys`: the keys whose records are
    given; None for all. `basis`: where they are not all given, what computes with all records: a cause of all keys, found
    with the given ones, is told only if it does.
    """

    events: Sequence[OnlineEvent]
    whole: Mapping[Place, tuple[int, int]] = field(default_factory=dict)
    keys: Collection[str] | None = None
    basis: WholeBasis | None = None


@dataclass(frozen=True)
class Law:
    """Under which the snapshot was rebuilt. ends: by the anchor's basis, as `apply_law` takes them."""

    rules: OnlineCoreRules
    platform_run_id: str
    ends: Ends


@dataclass(frozen=True)
class Stated:
    """Profile revisions: the anchor's statement, the rebuilt snapshot's, and others whose rules may have been in force."""

    expected: Any = None
    rebuilt: Any = None
    others: Sequence[Revision] = ()


def explain(
    differences: Differences,
    expected: Features,
    rebuilt: Features,
    archive: Archive,
    law: Law,
    *,
    stated: Stated | None = None,
    bounds: Bounds | None = None,
) -> Explanation:
    """Causes of the differences. `expected` and `rebuilt` are the whole `features`; only `archive.basis` reads anything."""
    stated = stated or Stated()
    members = {} if _is_one_revision(stated) else {REVISION: stated.expected}
    if not differences.keys:
        return _explain_equal(members)
    bounds = bounds or Bounds()
    meter = Meter(bounds)
    case, others = _open_case(differences, expected, rebuilt, archive, law, meter)
    found = None
    if _may_be_one(case, others):
        found = explain_by_one_order(case, others[NOT_GIVEN], meter) or _explain_at_once(case, stated, meter)
    if found:
        cause, patch = found
        also = () if cause.kind is CauseKind.PROFILE_REVISION else _tell_stated(members)
        return Explanation((cause, *also), patch, members, _list_limits(meter, archive))
    causes, patch = _explain_apart(case, others[NOT_GIVEN], meter)
    unknown = [
        _tell_unknown(expected, rebuilt, left, reason)
        for reason, keys in others.items()
        if (left := [key for key in keys if key not in patch])
    ]
    return Explanation((*causes, *unknown, *_tell_stated(members)), patch, members, _list_limits(meter, archive))


def _list_limits(meter: Meter, archive: Archive) -> tuple[str, ...]:
    return (*meter.limits, *(() if archive.basis is None else archive.basis.limits))


def _may_be_one(case: Case, others: Mapping[str, Sequence[str]]) -> bool:
    """Whether one cause of all differing keys can be looked for: each is given, or computed with over the whole basis."""
    apart = [keys for reason, keys in others.items() if case.basis is None or reason is not NOT_GIVEN]
    return not any(apart)


def _is_one_revision(stated: Stated) -> bool:
    return is_same(stated.expected, stated.rebuilt)


def _explain_equal(members: Mapping[str, Any]) -> Explanation:
    if not members:
        text = "the features are equal, and so is the profile revision: what differs lies outside them"
        return Explanation((Cause(CauseKind.UNKNOWN, (), None, (), text, False),))
    return Explanation(_tell_stated(members), members=members)


def _tell_stated(members: Mapping[str, Any]) -> tuple[Cause, ...]:
    text = "the snapshot states another profile revision than the rebuilt one"
    return (Cause(CauseKind.PROFILE_REVISION, (), None, (), text, True),) if members else ()


UNFORMED = "the anchor's state is none that counts, sums and times can give"
NOT_GIVEN = "its deliveries were not looked at"
NOT_REBUILT = "the deliveries given of it do not make the rebuilt state, so nothing can be computed with them"


def _open_case(
    differences: Differences, expected: Features, rebuilt: Features, archive: Archive, law: Law, meter: Meter
) -> tuple[Case, dict[str, list[str]]]:
    """The case of the keys that can be computed with, and the other keys by why they cannot."""
    given = differences.keys if archive.keys is None else [key for key in differences.keys if key in set(archive.keys)]
    case = Case(
        expected, rebuilt, differences.keys, tuple(given), archive.keys, archive.events, law.rules, law.platform_run_id,
        law.ends, archive.whole, meter.bounds, archive.basis,
    )  # fmt: skip
    unformed = [key for key in differences.keys if not is_well_formed(expected.get(key))]
    out = set(unformed)
    absent = [key for key in differences.keys if key not in {*given} | out]
    others: dict[str, list[str]] = {NOT_GIVEN: absent, UNFORMED: unformed, NOT_REBUILT: []}
    good: list[str] = []
    for key in given:
        if key in out:
            continue
        if is_same_state(rebuilt.get(key), compose_state(case.applied.get(key, []))):
            good.append(key)
        else:
            others[NOT_REBUILT].append(key)
    if absent:
        meter.leave_out(
            f"the deliveries of {len(given)} of {write_count(len(differences.keys), 'differing key')} were given"
        )
    return (case if len(good) == len(given) else replace(case, keys=tuple(good))), others


def _tell_unknown(expected: Features, rebuilt: Features, keys: Sequence[str], reason: str) -> Cause:
    field_ = find_field(expected, rebuilt, keys)
    return Cause(CauseKind.UNKNOWN, tuple(keys), field_, (), reason, False)


def _explain_at_once(case: Case, stated: Stated, meter: Meter) -> Found | None:
    """One cause that explains every differing key."""
    if has_longer_stretches(case):
        meter.leave_out(
            f"ends are moved over {write_count(case.bounds.window, 'delivery', 'deliveries')} on either side of each"
        )
    if fixed := [place for place in case.ends if place not in case.whole]:
        meter.leave_out(
            f"the ends of {write_count(len(fixed), 'partition')} were not moved: no record around them was given"
        )
    found = explain_by_ends(case)
    if found:
        return found
    if not has_witness(case):
        meter.leave_out("other rules: not tried, no delivery of a key on which both sides agree was given")
        return None
    return explain_by_revision(case, stated.others) or explain_by_precedence(case) or explain_by_amounts(case)


def _explain_apart(case: Case, absent: Sequence[str], meter: Meter) -> tuple[list[Cause], dict[str, State | None]]:
    """Causes key by key, those of one order of additions together, and the states they give. absent: keys not given."""
    looked_at, rest = case.keys[: meter.bounds.keys], case.keys[meter.bounds.keys :]
    if rest:
        meter.leave_out(f"{len(looked_at)} of {write_count(len(case.keys), 'differing key')} were looked at one by one")
    extras = _gather_extras(case)
    keyed = [
        KeyCase(key, case.expected.get(key), case.applied.get(key, []), extras.get(key, []), meter) for key in looked_at
    ]
    ordered, patch = explain_by_order(case, keyed, absent, meter)
    causes: list[Cause] = list(ordered)
    unknown: list[str] = []
    for one in keyed:
        if one.key in patch:
            continue
        found = keep_first(find_moved(one)) or explain_key(one)
        if found is None:
            unknown.append(one.key)
            continue
        patch[one.key] = found.first.state
        causes += _tell_found(case, one.key, found)
    for keys, reason in ((unknown, "nothing that was tried gives the anchor's state"), (rest, NOT_GIVEN)):
        causes += [_tell_unknown(case.expected, case.rebuilt, keys, reason)] if keys else []
    return causes, patch


def _gather_extras(case: Case) -> dict[str, list[Ruling]]:
    found: dict[str, list[Ruling]] = {}
    for one in case.rulings:
        if not one.applied and one.key in case.looked_at:
            found.setdefault(one.key, []).append(one)
    return {key: sort_applied(same) for key, same in found.items()}


def _tell_found(case: Case, key: str, found: KeyFindings) -> Iterator[Cause]:
    """The cause of one key; of a swap two, one of what was applied and one of what was not."""
    first = found.first
    field_ = find_field(case.expected, case.rebuilt, [key])
    yield _make_cause(first, first.kind, key, field_, first.positions, found)
    if first.lost:
        yield _make_cause(first, CauseKind.EVENT_MISSING, key, field_, first.lost, found)


def _make_cause(
    first: Finding,
    kind: CauseKind,
    key: str,
    field_: str | None,
    positions: tuple[OnlineEvent, ...],
    found: KeyFindings,
) -> Cause:
    return Cause(
        kind, (key,), field_, positions, first.detail, True,
        alternatives=found.others, alternative_count=found.other_count,
    )  # fmt: skip
