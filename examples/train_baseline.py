"""Trains a baseline on a published dataset and judges it on later rows: from a manifest to a figure in five lines.

    python examples/train_baseline.py MANIFEST --wiring wiring.yaml --train-until 2026-01-12T00:00:00Z --gap 7d

It needs scikit-learn: `pip install scikit-learn`. docs/load-and-train.md says why the rows are split by time, with a gap.
"""

from __future__ import annotations

import argparse

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

import ofs_spark as ofs


def main() -> None:
    """Loads, splits, trains, judges."""
    asked = parse_arguments()
    dataset = ofs.load(asked.manifest, asked.wiring)
    train, test = dataset.split(train_until=asked.train_until, gap=asked.gap, purge=True)
    learned, judged = (part.X_y(asked.label, positive=asked.positive, anchor=True) for part in (train, test))
    numbers = learned.X.select_dtypes("number").columns  # text and lists need an encoding of your choice
    model = HistGradientBoostingClassifier(random_state=0).fit(learned.X[numbers], learned.y, learned.weights)
    scores = model.predict_proba(judged.X[numbers])[:, 1]
    print(dataset)
    for name, part in (("train", learned), ("test", judged)):
        print(f"{name:5} {part!r}")
    print(f"AUC {roc_auc_score(judged.y, scores, sample_weight=judged.weights):.4f}")
    precision = average_precision_score(judged.y, scores, sample_weight=judged.weights)
    print(f"average precision {precision:.4f}, where a model that knows nothing has {judged.y.mean():.4f}")


def parse_arguments() -> argparse.Namespace:
    """What was asked."""
    parser = argparse.ArgumentParser(description="Trains a baseline on a published dataset, split by time.")
    parser.add_argument("manifest", help="Ref of a DatasetManifest, or its dataset_manifest_id.")
    parser.add_argument("--wiring", help="Where things are (YAML). [env var: OFS_WIRING]")
    parser.add_argument("--train-until", required=True, help="The model learns from rows before this time (…Z).")
    parser.add_argument("--gap", default="7d", help="How long labels take to be known. [default: 7d]")
    parser.add_argument("--label", default="fraud_disposition", help="[default: fraud_disposition]")
    parser.add_argument("--positive", nargs="+", default=["FRAUD_CONFIRMED"], help="[default: FRAUD_CONFIRMED]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
