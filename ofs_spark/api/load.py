"""`ofs.load`."""

from __future__ import annotations

from ofs_spark import pipeline
from ofs_spark.api.dataset import Dataset
from ofs_spark.api.plane import StrPath, open_plane


def load(manifest_ref_or_id: str, wiring: StrPath | None = None, allow_retired: bool = False) -> Dataset:
    """A published dataset, once every byte of it is proven to be what its manifest states. Creates nothing; no Java.

    Args:
        manifest_ref_or_id: the manifest's ref, relative to the object root or full, or its dataset_manifest_id.
        wiring: the wiring's file; default: OFS_WIRING, else the one that is shipped.
        allow_retired: gives a dataset that was retired, too.

    Raises:
        Refusal: with code, message, details, and in `next` and `do` what helps. RUN_NOT_FOUND or REF_ACCESS_DENIED: no such
            manifest. SCHEMA_INVALID: what stands there is none, such as a forensic artifact or a parity document.
            DATASET_RETIRED. MATERIALIZATION_CORRUPT: the table is not what the manifest states; `details["ref"]` is the
            file. RESOURCE_EXCEEDED, ENVIRONMENT_UNFIT: this machine, its wiring or its store.
        OSError: the store did not answer.
    """
    with open_plane(wiring, reads=True) as context:
        return Dataset(pipeline.load_dataset(manifest_ref_or_id, context, allow_retired=allow_retired))
