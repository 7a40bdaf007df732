"""How much fraud each week had, and how much of it was known when the week ended: labels take time, and this is how much.

    python examples/fraud_by_week.py MANIFEST --wiring wiring.yaml

A dataset holds when each label became known. A model that is trained at the end of a week has the second number, not the first.
"""

from __future__ import annotations

import argparse

import pandas as pd

import ofs_spark as ofs

LABEL = "label__fraud_disposition"


def main() -> None:
    """Loads, counts, prints a line per week."""
    parser = argparse.ArgumentParser(description="Fraud by week, and how much of it was known at the week's end.")
    parser.add_argument("manifest", help="Ref of a DatasetManifest, or its dataset_manifest_id.")
    parser.add_argument("--wiring", help="Where things are (YAML). [env var: OFS_WIRING]")
    asked = parser.parse_args()
    rows = ofs.load(asked.manifest, asked.wiring).pandas()
    print(count_by_week(rows).to_string())


def count_by_week(rows: pd.DataFrame) -> pd.DataFrame:
    """Per week that begins on a Monday: payments, fraud as it is known now, and the share that was known at the week's end."""
    week = rows["ts_utc"].dt.floor("D") - pd.to_timedelta(rows["ts_utc"].dt.day_of_week, unit="D")
    is_fraud = (rows[LABEL] == "FRAUD_CONFIRMED").fillna(value=False)
    in_time = is_fraud & (rows[f"{LABEL}__observed_time"] < week + pd.Timedelta(days=7)).fillna(value=False)
    counted = (
        pd.DataFrame({"payments": 1, "fraud": is_fraud.astype(int), "known": in_time.astype(int)})
        .groupby(week.dt.date)
        .sum()
    )
    counted["known_in_time"] = (counted["known"] / counted["fraud"]).round(2)
    return counted.drop(columns="known").rename_axis("week")


if __name__ == "__main__":
    main()
