"""What a notebook shows: names and counts, escaped, small, and none of the rows' values."""

from __future__ import annotations

from xml.etree import ElementTree

from ofs_spark.pins.columns import INT64, Column
from tests.unit.api.make import COLUMNS, make_dataset, row

SECRET = "a value of a row"
SCRIPT = "<script>alert('x')</script>"


def test_a_dataset_is_shown_in_one_line() -> None:
    dataset = make_dataset([row(SECRET, "10:00:00"), row("e1", "14:00:00")])
    told = f"<Dataset dm_{'a1' * 16}: 2 rows, 2 features, labels fraud_disposition, TRAINING_READY>"
    assert repr(dataset) == told
    train, test = dataset.split(train_until="2026-01-02T12:00:00Z", gap="1h")
    assert repr(train) == f"{told[:-1]}, the part before 2026-01-02T12:00:00.000000Z>"
    assert repr(test).endswith(", the part from 2026-01-02T13:00:00.000000Z>")


def test_the_page_has_facts_and_no_values() -> None:
    dataset = make_dataset([row(SECRET, "10:00:00", card__count=987_654_321)])
    page = dataset._repr_html_()
    shown = [cell.text for cell in ElementTree.fromstring(page).iter("td")]
    assert shown == [
        f"dm_{'a1' * 16}",
        "TRAINING_READY",
        "1",
        "card_fraud v3",
        "50.00% resolved as of 2026-04-01T00:00:00Z",
        "2: event_id, ts_utc",
        "2: card__count, card__mean",
        f"5: {', '.join(one.name for one in COLUMNS if one.role == 'label')}",
        "ab" * 32,
    ]
    assert SECRET not in page
    assert "987" not in page


def test_the_page_of_a_part_says_which() -> None:
    dataset = make_dataset([row("e0", "10:00:00"), row("e1", "14:00:00")])
    page = dataset.split(train_until="2026-01-02T12:00:00Z").train._repr_html_()
    assert "<tr><th>part</th><td>before 2026-01-02T12:00:00.000000Z</td></tr>" in page
    assert "2 in the whole" in page


def test_names_are_escaped_and_cut() -> None:
    columns = [*COLUMNS, *(Column(f"{SCRIPT}{'x' * 1_000}{place}", INT64, "feature", "m") for place in range(5_000))]
    named = {"feature_set_id": SCRIPT, "feature_set_version": "v&1"}
    page = make_dataset([row("e0", "10:00:00")], columns, feature_definition_set=named)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "… 4994 more" in page
    assert len(page) < 5_000
