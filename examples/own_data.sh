#!/usr/bin/env bash
# From two CSV files to a verified dataset, in two commands: docs/your-own-data.md has every option.
#
#     examples/own_data.sh FOLDER PAYMENTS.csv VERDICTS.csv
#
# `ofs init first` writes such files to first/sample/. OFS: the program to run, where it is not on the PATH.
set -euo pipefail
folder=$1 payments=$2 verdicts=$3
ofs=${OFS:-ofs}

$ofs import "$folder" --events "$payments" --id payment_id --time paid_at --arrival received_at --type-is card_payment \
    --key customer terminal \
    --labels "$verdicts" --label-event payment_id --label-type fraud_disposition --label-value verdict \
    --label-observed decided_at --label-map fraud=FRAUD_CONFIRMED legit=LEGIT_CONFIRMED

$ofs --wiring "$folder/wiring.yaml" build "$folder/intent.json"
