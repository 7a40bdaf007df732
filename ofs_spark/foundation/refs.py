"""Where every object stands that OFS writes, or reads by convention: refs relative to the object root, as functions.

No other file puts a path together. A ref to something that OFS writes is an `OwnedRef`: only this file makes one, after
`contracts/ownership_boundaries.json` said that the place is OFS' own, and only an `OwnedRef` can be written.
"""

from __future__ import annotations

from typing import NewType

from ofs_spark.foundation.ownership import OFS, require_owned

OwnedRef = NewType("OwnedRef", str)
"""A ref that OFS may write: checked when it was made."""


def name_segment_index(platform_run_id: str) -> str:
    """The segment index of a platform run; the archive's writer owns it."""
    return f"{platform_run_id}/archive/segment_index.json"


def name_profile(feature_set_id: str) -> str:
    """The profile that holds a feature set, relative to the profiles root: one file for all versions of the set."""
    return f"{feature_set_id}.yaml"


def name_plan(platform_run_id: str, run_key: str) -> OwnedRef:
    """The resolved build plan of a run."""
    return name_evidence(platform_run_id, "resolved_build_plan", run_key)


def name_evidence(platform_run_id: str, kind: str, run_key: str, attempt: str = "") -> OwnedRef:
    """A document of evidence: under the run's name once its gate passed, else with the attempt's name in it."""
    return _own(platform_run_id, f"{kind}/{run_key}{attempt and f'.{attempt}'}.json")


def name_own_folder(platform_run_id: str) -> str:
    """The folder of everything that OFS makes of a platform run, for those who list it."""
    return f"{platform_run_id}/{OFS}"


def name_manifests(platform_run_id: str) -> str:
    """The folder of a platform run's manifests, for those who list it."""
    return f"{name_own_folder(platform_run_id)}/manifests"


def name_prepared_manifests(platform_run_id: str) -> str:
    """The folder of manifests that a publish-only retry will commit, for those who list it."""
    return f"{name_own_folder(platform_run_id)}/publish_pending"


def name_staging(platform_run_id: str, plan_id: str) -> OwnedRef:
    """The folder of a plan's staged rows, whichever attempt stages them."""
    return _own(platform_run_id, f"staging/{plan_id}")


def name_staged_rows(staging: OwnedRef, sha256: str) -> OwnedRef:
    """The staged rows of one scan task, by the SHA-256 of their bytes."""
    return OwnedRef(f"{staging}/{sha256}.arrow")


def name_scan_record(staging: OwnedRef) -> OwnedRef:
    """The record of a plan's complete scan, beside its staged rows."""
    return OwnedRef(f"{staging}/scan.json")


def name_fold_record(staging: OwnedRef) -> OwnedRef:
    """The record of a parity plan's folded states, beside them."""
    return OwnedRef(f"{staging}/fold.json")


def name_photos(staging: OwnedRef, of: str) -> OwnedRef:
    """The photos of a group of anchors; `of` is the digest of what they were taken of."""
    return OwnedRef(f"{staging}/{of}.photos.json")


def name_table(platform_run_id: str, dataset_manifest_id: str, attempt: str) -> OwnedRef:
    """The folder of an attempt's Delta table."""
    return _own(platform_run_id, f"datasets/{dataset_manifest_id}/{attempt}")


def name_table_file(table: OwnedRef, name: str) -> OwnedRef:
    """A data file of a table."""
    return OwnedRef(f"{table}/{name}")


def name_part_file(bucket: int, number: int) -> str:
    """The name of a bucket's n-th data file inside its table."""
    return f"part-{bucket:07d}-{number:05d}.parquet"


def name_table_log(table: str) -> str:
    """The folder of a table's Delta log."""
    return f"{table}/_delta_log"


def name_table_commit(table: str, version: int) -> str:
    """An entry of a table's Delta log."""
    return f"{name_table_log(table)}/{version:020d}.json"


def name_file_list(platform_run_id: str, sha256: str) -> OwnedRef:
    """A file list, by the SHA-256 of its bytes."""
    return _own(platform_run_id, f"files/{sha256}.parquet")


def name_manifest(platform_run_id: str, dataset_manifest_id: str) -> OwnedRef:
    """The DatasetManifest: the commit point."""
    return own_ref(f"{name_manifests(platform_run_id)}/{dataset_manifest_id}.json")


def name_prepared(platform_run_id: str, run_key: str) -> OwnedRef:
    """The prepared manifest of a run: what its commit puts, and a publish-only retry."""
    return own_ref(f"{name_prepared_manifests(platform_run_id)}/{run_key}.json")


def name_manifest_v0(platform_run_id: str, dataset_manifest_id: str) -> OwnedRef:
    """The view of a manifest for readers of contract v0."""
    return own_ref(f"{name_manifests(platform_run_id)}/{dataset_manifest_id}.v0.json")


def name_supersession(platform_run_id: str, superseded: str) -> OwnedRef:
    """The link from a dataset to the one that takes its place."""
    return _own(platform_run_id, f"supersession/{superseded}.json")


def name_retirement(platform_run_id: str, dataset_manifest_id: str) -> OwnedRef:
    """What says that a dataset is retired, and why."""
    return _own(platform_run_id, f"retired/{dataset_manifest_id}.json")


def name_publication(platform_run_id: str, run_key: str) -> OwnedRef:
    """The publication receipt of a run."""
    return _own(platform_run_id, f"publication/{run_key}.json")


def name_plan_index(platform_run_id: str, plan_id: str) -> OwnedRef:
    """Which manifest a plan came to."""
    return _own(platform_run_id, f"index/by_plan/{plan_id}.json")


def name_fact(platform_run_id: str, event_id: str) -> OwnedRef:
    """A governance fact."""
    return _own(platform_run_id, f"governance/{event_id}.json")


def name_run_receipt(platform_run_id: str, run_key: str) -> OwnedRef:
    """The receipt of a run over all its attempts."""
    return _own(platform_run_id, f"run_receipts/{run_key}.json")


def name_contribution(platform_run_id: str, run_key: str) -> OwnedRef:
    """What one run adds to its platform run's reconciliation."""
    return _own(platform_run_id, f"reconciliation/{run_key}.json")


def name_roll(platform_run_id: str) -> OwnedRef:
    """What the sums of a platform run's reconciliation need of each run."""
    return _own(platform_run_id, "reconciliation/roll.bin")


def name_reconciliation(platform_run_id: str) -> OwnedRef:
    """OFS' contribution to a platform run's reconciliation: the one document that it owns outside `…/ofs/`."""
    return own_ref(f"{platform_run_id}/learning/reconciliation/ofs_reconciliation.json")


def name_parity_report(platform_run_id: str, run_key: str) -> OwnedRef:
    """The report of a parity run: its commit."""
    return _own(platform_run_id, f"parity/{run_key}.json")


def name_parity_table(platform_run_id: str, run_key: str, attempt: str) -> OwnedRef:
    """The folder of the Delta table that has a sweep's results."""
    return _own(platform_run_id, f"parity/{run_key}.{attempt}")


def name_forensic_record(platform_run_id: str, run_key: str) -> OwnedRef:
    """The record of a forensic run: its commit."""
    return _own(platform_run_id, f"forensic/{run_key}.json")


def name_forensic_artifact(platform_run_id: str, name: str) -> OwnedRef:
    """What a forensic record names beside itself; `name` holds the SHA-256 of its bytes."""
    return _own(platform_run_id, f"forensic/{name}")


def name_gc_receipt(platform_run_id: str, name: str) -> OwnedRef:
    """What one `ofs gc --apply` set out to remove; `name` is of that one alone."""
    return _own(platform_run_id, f"gc/{name}.json")


def own_ref(ref: str) -> OwnedRef:
    """The ref, checked: OWNERSHIP_BOUNDARY_VIOLATION unless OFS owns the place, REF_SCOPE_INVALID for no plain path."""
    require_owned(ref)
    return OwnedRef(ref)


def _own(platform_run_id: str, path: str) -> OwnedRef:
    return own_ref(f"{name_own_folder(platform_run_id)}/{path}")
