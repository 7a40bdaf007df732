"""Feature profiles as people write them: what compiles, to which columns, and every reason why one does not."""

from __future__ import annotations

from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.pins.profile.catalogue import describe_dataset
from ofs_spark.pins.profile.compile import Profile, read_profile
from ofs_spark.pins.profile.model import Condition, Operand

CARD_FRAUD = """
policy_id: fraud.card.features
revision: r7
feature_sets:
  - {feature_set_id: card_fraud, feature_set_version: v3, groups: [customer@v1, terminal@v2]}
feature_groups:
  - name: customer
    version: v1
    key: [payload.customer_id]
    source: {event_types: [card_payment]}
    values:
      amount:   {path: payload.amount, type: "decimal(12,2)", unit: EUR}
      merchant: {path: payload.merchant_id, type: string, missing: null}
    windows:
      - {window: 1h, duration: 1h, ttl: 1h}
      - {window: 7d, duration: 7d, ttl: 7d}
    features:
      - {name: count, aggregate: count}
      - {name: spend, aggregate: sum, value: amount, windows: [7d], output: exact}
      - {name: mean, aggregate: mean, value: amount}
      - {name: declined, aggregate: rate, where: {path: payload.result, eq: declined}, windows: [7d]}
      - {name: merchants, aggregate: count_distinct, value: merchant, windows: [7d]}
      - {name: shop, aggregate: last, value: merchant, windows: []}
      - {name: gap, aggregate: time_since_previous}
    derived:
      - {name: over_mean_7d, ratio: [amount, mean_7d]}
  - name: terminal
    version: v2
    key: [payload.terminal_id]
    windows: [{window: 30d, duration: 30d, ttl: 30d}]
    delay: 7d
    features:
      - {name: count, aggregate: count}
      - {name: fresh, aggregate: count, delay: 0s}
"""
DAY_US = 86_400_000_000


def read(text: str, version: str = "v3", name: str = "card_fraud") -> Profile:
    return read_profile(MemoryObjects({f"{name}.yaml": text.encode()}), name, version)


def refusal(text: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(text)
    assert caught.value.code == "FEATURE_PROFILE_UNRESOLVED"
    assert caught.value.exit_status == 20
    return caught.value


def faults(text: str) -> dict[str, str]:
    """Pointer → message of every fault."""
    return {fault["pointer"]: fault["message"] for fault in refusal(text).details["faults"]}


def edited(old: str, new: str) -> str:
    assert CARD_FRAUD.count(old) == 1, f"{old!r} is not one place of the profile"
    return CARD_FRAUD.replace(old, new)


def test_columns_stand_in_the_sets_files_and_windows_order() -> None:
    shown = [(c.name, c.type, c.unit, c.window, c.source) for c in read(CARD_FRAUD).program.feature_columns]
    customer, terminal = "customer@v1", "terminal@v2"
    assert shown == [
        ("customer__count_1h", "int64", "", "1h", customer),
        ("customer__count_7d", "int64", "", "7d", customer),
        ("customer__spend_7d", "decimal128(38, 2)", "EUR", "7d", customer),
        ("customer__mean_1h", "double", "EUR", "1h", customer),
        ("customer__mean_7d", "double", "EUR", "7d", customer),
        ("customer__declined_7d", "double", "", "7d", customer),
        ("customer__merchants_7d", "int64", "", "7d", customer),
        ("customer__shop", "string", "", "", customer),
        ("customer__gap_1h", "double", "s", "1h", customer),
        ("customer__gap_7d", "double", "s", "7d", customer),
        ("customer__over_mean_7d", "double", "", "", customer),
        ("terminal__count_30d", "int64", "", "30d", terminal),
        ("terminal__fresh_30d", "int64", "", "30d", terminal),
    ]


def test_groups_stand_in_the_order_of_the_set() -> None:
    program = read(edited("[customer@v1, terminal@v2]", "[terminal@v2, customer@v1]")).program
    assert [group.name for group in program.groups] == ["terminal", "customer"]
    assert program.feature_columns[0].name == "terminal__count_30d"


def test_a_meaning_is_a_sentence_people_can_read() -> None:
    meanings = {column.name: column.meaning for column in read(CARD_FRAUD).program.feature_columns}
    assert meanings["customer__mean_7d"] == "Mean amount of events of the same customer_id in the 7d up to the anchor"
    assert meanings["terminal__count_30d"].endswith("in the 30d up to the anchor, shifted back by 604800 s")


def test_defaults() -> None:
    customer, terminal = read(CARD_FRAUD).program.groups
    assert (customer.knowledge, customer.include_anchor) == ("as_observed", True)
    assert [(value.name, value.missing) for value in customer.values] == [("amount", "fail"), ("merchant", "null")]
    assert customer.event_types == ("card_payment",)
    assert terminal.event_types is None


def test_a_features_delay_overrides_its_groups() -> None:
    _, terminal = read(CARD_FRAUD).program.groups
    assert [(f.operand, f.window_us, f.delay_us) for f in terminal.features] == [
        ("count_30d", 30 * DAY_US, 7 * DAY_US),
        ("fresh_30d", 30 * DAY_US, 0),
    ]


def test_operands_are_the_anchors_value_and_features_of_the_group() -> None:
    customer = read(CARD_FRAUD).program.groups[0]
    (over,) = customer.derived
    assert over.left == Operand("value", 0)
    assert customer.features[over.right.index].operand == "mean_7d"


def test_groups_that_read_one_path_as_one_type_share_the_read() -> None:
    shared = read(edited("key: [payload.terminal_id]", "key: [payload.customer_id]")).program
    assert len(shared.reads) == len(read(CARD_FRAUD).program.reads) - 1
    assert shared.groups[0].key == shared.groups[1].key


def test_constants_keep_the_digits_that_were_written() -> None:
    condition = "{all: [{path: payload.amount, ge: 10.50}, {not: {path: payload.test, eq: true}}]}"
    program = read(edited("{path: payload.result, eq: declined}", condition)).program
    amount = Condition("ge", ("payload", "amount"), (("number", "10.50"),))
    tested = Condition("eq", ("payload", "test"), (("bool", "true"),))
    assert program.conditions == (Condition("all", parts=(amount, Condition("not", parts=(tested,)))),)


def test_a_composite_key_is_its_parts_in_order() -> None:
    program = read(edited("[payload.terminal_id]", "[payload.terminal_id, payload.geo.country]")).program
    assert program.keys[program.groups[1].key].names == ("terminal_id", "country")


def test_the_datasets_columns_stand_in_their_order_with_their_roles() -> None:
    columns = describe_dataset(read(CARD_FRAUD).program, ["fraud_disposition", "chargeback_status"])
    roles = [column.role for column in columns]
    assert roles == ["identity"] * 4 + ["feature"] * 13 + ["label"] * 10 + ["lineage"] * 3
    names = [column.name for column in columns if column.role != "feature"]
    parts = ("", "__status", "__effective_time", "__observed_time", "__assertion_id")
    labels = [f"label__{name}{part}" for name in ("chargeback_status", "fraud_disposition") for part in parts]
    assert names == ["platform_run_id", "event_id", "event_type", "ts_utc", *labels, "_topic", "_partition", "_offset"]
    types = {column.name: column.type for column in columns}
    assert types["ts_utc"] == types["label__chargeback_status__observed_time"] == "timestamp[us, tz=UTC]"
    assert (types["_partition"], types["_offset"]) == ("int32", "string")
    assert all(column.meaning for column in columns)


def test_a_split_stands_between_labels_and_lineage() -> None:
    names = [column.name for column in describe_dataset(read(CARD_FRAUD).program, [], split=True)]
    assert names[-4:] == ["split", "_topic", "_partition", "_offset"]


def test_three_faults_are_told_together() -> None:
    text = edited("aggregate: mean, value: amount", "aggregate: median, value: amount")
    text = text.replace("aggregate: rate, where: {path: payload.result, eq: declined}", "aggregate: rate")
    text = text.replace("key: [payload.terminal_id]", "key: [terminal_id]")
    found = refusal(text)
    assert [fault["pointer"] for fault in found.details["faults"]][:3] == [
        "/feature_groups/0/features/2/aggregate",
        "/feature_groups/0/features/3/where",
        "/feature_groups/1/key/0",
    ]
    assert "card_fraud.yaml/feature_groups/0/features/2/aggregate" in found.message
    assert "(and 2 more)" in found.message


LATER = "not computed by this release"
G0, G1 = "/feature_groups/0", "/feature_groups/1"
AMOUNT, MERCHANT = f"{G0}/values/amount", f"{G0}/values/merchant"
ONE_FAULT = {
    "unknown key of a group": ("    delay: 7d", "    delays: 7d", f"{G1}/delays", "is not a key here"),
    "unknown key of a feature": ("name: fresh,", "name: fresh, k: 3,", f"{G1}/features/1/k", "is not a key here"),
    "unknown key of a value": ("unit: EUR", "units: EUR", f"{AMOUNT}/units", "is not a key here"),
    "unknown key of the file": ("revision: r7", "revision: r7\nowner: me", "/owner", "is not a key here"),
    "no such set": ("feature_set_version: v3", "feature_set_version: v4", "/feature_sets", "holds no set"),
    "no such group": ("terminal@v2]", "terminal@v9]", "/feature_sets/0/groups/1", "no group of this profile"),
    "a group twice": ("terminal@v2]", "customer@v1]", "/feature_sets/0/groups/1", "twice"),
    "no group": ("[customer@v1, terminal@v2]", "[]", "/feature_sets/0/groups", "names no group"),
    "one name, two groups": ("terminal\n    version: v2", "customer\n    version: v1", G1, "declared twice"),
    "equal ignoring case": ("name: fresh", "name: COUNT", f"{G1}/features/1/name", f"stands at {G1}/features/0/name"),
    "no column name": ("name: fresh", "name: fresh-ish", f"{G1}/features/1/name", "no column name"),
    "no key": ("[payload.terminal_id]", "[]", f"{G1}/key", "names no payload path"),
    "a column as key": ("[payload.terminal_id]", "[event_type]", f"{G1}/key/0", "below payload"),
    "one last part": ("[payload.terminal_id]", "[payload.a.id, payload.b.id]", f"{G1}/key", "end in one name"),
    "no such operand": ("[amount, mean_7d]", "[amount, mean_9d]", f"{G0}/derived/0/ratio/1", "no value or feature"),
    "another derived": ("[amount, mean_7d]", "[amount, over_mean_7d]", f"{G0}/derived/0/ratio/1", "no value"),
    "a text operand": ("[amount, mean_7d]", "[merchant, mean_7d]", f"{G0}/derived/0/ratio/0", "is no number"),
    "a text feature as operand": ("[amount, mean_7d]", "[shop, mean_7d]", f"{G0}/derived/0/ratio/0", "is no number"),
    "three operands": ("[amount, mean_7d]", "[amount, mean_7d, mean_1h]", f"{G0}/derived/0/ratio", "two operands"),
    "zero for text": ("missing: null", "missing: zero", f"{MERCHANT}/missing", "zero is for numbers"),
    "odd missing rule": ("missing: null", "missing: skip", f"{MERCHANT}/missing", "fail, null or zero"),
    "no such type": ("type: string", "type: text", f"{MERCHANT}/type", "is required"),
    "no such decimal": ("decimal(12,2)", "decimal(39,2)", f"{AMOUNT}/type", "1 ≤ p ≤ 38"),
    "scale beyond precision": ("decimal(12,2)", "decimal(2,3)", f"{AMOUNT}/type", "s ≤ p"),
    "no such value": ("count_distinct, value: merchant", "count_distinct, value: shop", f"{G0}/features/4/value", "no value"),
    "sum of nothing": ("sum, value: amount,", "sum,", f"{G0}/features/1/value", "needs a value"),
    "rate of a value": ("aggregate: rate,", "aggregate: rate, value: amount,", f"{G0}/features/3/value", "has no value"),
    "empty beyond sum": ("name: fresh,", "name: fresh, empty: zero,", f"{G1}/features/1/empty", "for sum alone"),
    "exact count": ("name: fresh,", "name: fresh, output: exact,", f"{G1}/features/1/output", "is exact, for"),
    "exact mean": ("aggregate: mean,", "aggregate: mean, output: exact,", f"{G0}/features/2/output", "is exact, for"),
    "exact text": ("aggregate: last,", "aggregate: last, output: exact,", f"{G0}/features/5/output", "is exact, for"),
    "window of another group": ("merchant, windows: [7d]", "merchant, windows: [30d]", f"{G0}/features/4/windows/0", "no window"),
    "ttl below duration": ("duration: 30d, ttl: 30d", "duration: 30d, ttl: 7d", f"{G1}/windows/0/ttl", "at least"),
    "no duration": ("duration: 30d, ttl: 30d", "duration: 0d, ttl: 30d", f"{G1}/windows/0/duration", "longer than"),
    "duration in weeks": ("delay: 7d", "delay: 1w", f"{G1}/delay", "s, m, h or d"),
    "odd knowledge": ("    delay: 7d", "    knowledge: hindsight", f"{G1}/knowledge", "as_observed or event_time"),
    "null constant": ("eq: declined", "eq: null", f"{G0}/features/3/where/eq", "use is_null"),
    "two comparisons": ("eq: declined", "eq: a, ne: b", f"{G0}/features/3/where", "exactly one of"),
    "is_null of a text": ("eq: declined", "is_null: maybe", f"{G0}/features/3/where/is_null", "true or false"),
    "in nothing": ("eq: declined", "in: []", f"{G0}/features/3/where/in", "at least one constant"),
    "last_k": ("name: fresh, aggregate: count", "name: fresh, aggregate: last_k", f"{G1}/features/1/aggregate", LATER),
    "zscore": ("ratio: [amount, mean_7d]", "zscore: {value: amount, window: 7d}", f"{G0}/derived/0/zscore", LATER),
    "labels": ("event_types: [card_payment]", "labels: fraud_disposition", f"{G0}/source/labels", LATER),
    "context": ("    delay: 7d", "    context: [{name: m}]", f"{G1}/context", LATER),
    "no aggregate": ("fresh, aggregate: count", "fresh, aggregate: median", f"{G1}/features/1/aggregate", "known are"),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_FAULT.values(), ids=ONE_FAULT.keys())
def test_one_fault_is_told_where_it_stands(case: tuple[str, str, str, str]) -> None:
    old, new, pointer, told = case
    found = faults(edited(old, new))
    assert told in found[pointer]


def test_a_name_that_could_mean_two_operands() -> None:
    text = edited("merchant: {path: payload.merchant_id", "shop: {path: payload.merchant_id")
    found = faults(text.replace("value: merchant", "value: shop"))
    assert found == {G0: "shop could mean 2 operands: name values and features apart"}


@pytest.mark.parametrize("aggregate", ["stddev_pop", "stddev_samp"])
@pytest.mark.parametrize(("type_", "fits"), [("decimal(15,2)", True), ("decimal(16,2)", False), ("int", True)])
def test_a_squared_value_has_at_most_fifteen_digits(aggregate: str, type_: str, fits: bool) -> None:
    text = edited("decimal(12,2)", type_).replace("aggregate: mean", f"aggregate: {aggregate}")
    if fits:
        assert read(text).program.feature_columns
    else:
        assert "at most 15 digits" in faults(text)[f"{G0}/features/2/value"]


CORE = "policy_id: p\nrevision: r\nfeature_groups:\n  - {name: core_features, version: v1}\n"


def test_a_group_without_extension_keys_has_the_online_core_features() -> None:
    program = read(CORE, "v1", "core_features").program
    assert [(c.name, c.type) for c in program.feature_columns] == [
        ("core_features__event_count", "int64"),
        ("core_features__amount_sum", "double"),
        ("core_features__last_event_ts_utc", "string"),
    ]
    (law,) = program.online_core_rules
    assert (law.key_precedence, law.amount_fields) == (("flow_id", "event_id"), ("amount",))


@pytest.mark.parametrize(
    "text",
    ["when: 2026-02-10", "x: !!str a", "x: &a 1", "revision: r\nrevision: r", "- [", "x: 0x10", "", "[]", "just text"],
)
def test_what_is_no_plain_yaml_mapping_is_no_profile(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize("name", ["", "../card_fraud", "a/b", ".hidden", "x" * 129, "card fraud"])
def test_a_set_name_is_no_path(name: str) -> None:
    class Untouched(MemoryObjects):
        def read(self, ref: str, _most: int | None = None, /) -> Any:
            raise AssertionError(f"read {ref}")

    with pytest.raises(Refusal, match="is no name of a feature set"):
        read_profile(Untouched(), name, "v1")


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(
        Refusal, match=r"there is no feature profile at this ref below profiles\.root of the wiring"
    ) as caught:
        read_profile(MemoryObjects({"other.yaml": CARD_FRAUD.encode()}), "card_fraud", "v3")
    assert caught.value.code == "FEATURE_PROFILE_UNRESOLVED"
