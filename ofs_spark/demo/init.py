"""`ofs init`: a folder that builds as it is and is meant to be changed: sample files, wiring, policy, profile, intent."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ofs_spark.demo.sample import write_sample
from ofs_spark.foundation.config import find_conf_root
from ofs_spark.foundation.ports import Announce
from ofs_spark.intake import folder as f
from ofs_spark.intake.command import Beside, import_own_data
from ofs_spark.intake.declared import read_declared

EVENTS, LABELS, MAP = "payments.csv", "verdicts.csv", "map.yaml"
MEANING = """\
# Which column is what, for `ofs import NEW_FOLDER --map map.yaml`. Every name here is an option of the command, too.
events: payments.csv
id: payment_id            # what tells payments apart; id-from hashes ids where no column is one
time: paid_at             # when it happened: RFC 3339 in UTC
arrival: received_at      # when it was known: features then see only what had been delivered before the payment
type-is: card_payment     # every row is a payment; `type: COLUMN` where a column says what it is
key: [customer, terminal] # whose histories features look at: a group of the starter profile each
labels: verdicts.csv
label-event: payment_id
label-type: fraud_disposition
label-value: verdict
label-map: {fraud: FRAUD_CONFIRMED, legit: LEGIT_CONFIRMED}   # any other value is rejected, and counted
label-observed: decided_at    # when the verdict was known: a dataset sees those up to its label_asof_utc
"""
WIRING = """\
# Where things are. Nothing here is part of a dataset's identity: the same intent gives the same dataset elsewhere.
# Paths are relative to this file. This folder is the object root: OFS reads the archive and the labels below it, and
# writes manifests, tables and receipts below platform_…/ofs/. The ledger remembers runs. docs/wiring.md has every key.
"""
PROFILE = """\
# What features mean. Every key, aggregate and condition is in docs/profile-reference.md; how to change a profile that
# datasets were built from, in docs/add-a-feature.md.
policy_id: own.features
revision: r1
feature_sets:
  # What an intent asks for, by name and version: groups, each in a version of its own.
  - {feature_set_id: starter, feature_set_version: v1, groups: [customer@v1, terminal@v1]}
feature_groups:
  - name: customer
    version: v1                     # once a dataset was built from a group, a change takes a new version of it
    key: [payload.customer]         # whose history the windows look at; several paths make a composite key
    source: {event_types: [card_payment]}
    knowledge: as_observed          # only what had been delivered when the payment was made; event_time: hindsight
    values:
      amount: {path: payload.amount, type: "decimal(12,2)", missing: fail}   # summed exactly, rounded once
    windows:
      - {window: 1d, duration: 1d, ttl: 1d}
      - {window: 7d, duration: 7d, ttl: 7d}
    features:                       # columns are customer__count_1d, customer__count_7d, customer__spend_1d …
      - {name: count, aggregate: count}
      - {name: spend, aggregate: sum, value: amount}
      - {name: mean, aggregate: mean, value: amount, windows: [7d]}
      - {name: declined, aggregate: rate, windows: [7d], where: {path: payload.result, eq: declined}}
      - {name: gap, aggregate: time_since_previous, windows: [7d]}
    derived:
      - {name: over_mean_7d, ratio: [amount, mean_7d]}
  - name: terminal
    version: v1
    key: [payload.terminal]
    source: {event_types: [card_payment]}
    knowledge: as_observed
    windows:
      - {window: 7d, duration: 7d, ttl: 7d}
    features:
      - {name: count, aggregate: count}
      - {name: declined, aggregate: rate, where: {path: payload.result, eq: declined}}
"""
README = """\
# A folder to start from

Written by `ofs init`. It builds as it is. Change one thing at a time, and build again.

| what | is |
|---|---|
| `intent.json` | what a dataset must mean: see below |
| `profiles/starter.yaml` | the features |
| `wiring.yaml` | where things are |
| `policy/` | what changes meaning besides: coverage, arrival, layout. Used with `--policy policy` |
| `sample/` | the files this was made from, and the map that says which column is what |
| `platform_…/` | those files as archive segments, segment index, label extract and run facts; datasets come to `…/ofs/` |
| `rejected.jsonl` | rows of the files that were not taken, and why: none here |

    ofs --wiring wiring.yaml validate intent.json      # every fault at once; no data is read, no engine starts
    ofs --wiring wiring.yaml build intent.json
    ofs --wiring wiring.yaml datasets                  # what there is, and where its table stands
    ofs import ../mine --map sample/map.yaml           # the same from files: copy the map, name your own

The members of the intent:

| member | is |
|---|---|
| `request_id` | the name of the request: the same one answers the same again; after a change, take a new one |
| `platform_run_id`, `scenario_run_ids` | whose events |
| `replay_basis` | the offsets that go in, both ends included: nothing else ever does |
| `label_basis` | which labels were known by when |
| `feature_definition_set` | the feature set and its version |
| `join_scope`, `filters` | label types, which events are rows, which rows are kept |
| `run_facts_ref` | what admits the run's outputs |
| `non_training_allowed` | true: published even where too few rows have labels, and marked so. For training, leave it out |
| `policy_revision`, `config_revision`, `ofs_code_release_id` | what it was written for |
"""


def init_folder(folder: Path, releases: Mapping[str, str], announce: Announce) -> dict[str, Any]:
    """Writes the folder; the answer of an import of the sample, with where sample and policy stand. Errors as of an import."""
    payments, verdicts = write_sample()
    sample = {EVENTS: payments, LABELS: verdicts, MAP: MEANING.encode()}
    policy = {f"{f.POLICY}/{one.name}": one.read_bytes() for one in (find_conf_root() / f.POLICY).iterdir()}
    files = {f.README: README.encode(), **policy, **{f"{f.SAMPLE}/{name}": body for name, body in sample.items()}}
    with tempfile.TemporaryDirectory() as aside:
        for name, body in sample.items():
            Path(aside, name).write_bytes(body)
        declared = read_declared({}, Path(aside, MAP))
        found = import_own_data(declared, folder, releases, announce, Beside(files, PROFILE, WIRING))
    root = folder.absolute()
    return {**found, "outcome": "INITIALISED", "sample": str(root / f.SAMPLE), "policy": str(root / f.POLICY)}
