"""The plan of a run, fixed by the first attempt that resolved it: a later attempt resolves the same, or is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from ofs_spark.foundation.canonical import MAX_BYTES, CanonicalError, encode_canonical, parse_json
from ofs_spark.foundation.documents import describe_other
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.ports import Objects, ObjectTooLarge, Put
from ofs_spark.foundation.refs import name_plan
from ofs_spark.intent.run import Run
from ofs_spark.publish.evidence import refuse_other
from ofs_spark.workflow.plan import Resolution

CODE = "BUILD_PLAN_IMMUTABILITY_VIOLATION"
TOLD = (
    "run_facts",
    "feature_profile",
    "contexts",
    "archive",
    "labels",
    "policy",
    "config_revision",
    "code_release",
    "layout",
)
"""Members of a plan that something outside the intent decides: what changed is one of them."""


def fix_plan(resolution: Resolution, run: Run, objects: Objects) -> Resolution:
    """Writes the plan under the run's name; where one stands whose index only grew since, that one is the run's plan.

    BUILD_PLAN_IMMUTABILITY_VIOLATION if an earlier attempt resolved another plan: what a plan pins is the slice of the
    archive that it reads, and the digest of the whole index says only where the slice was found.
    """
    plan = resolution.plan
    body = encode_canonical(plan.to_document())
    ref = name_plan(plan.intent.platform_run_id, run.run_key)
    if objects.put_if_absent(ref, body) is Put.EXISTS:
        return _adopt_standing(resolution, ref, body, objects)
    return resolution


def require_fixed_plan(resolution: Resolution, run_key: str, objects: Objects) -> None:
    """BUILD_PLAN_IMMUTABILITY_VIOLATION as `fix_plan`, and nothing is written."""
    plan = resolution.plan
    ref = name_plan(plan.intent.platform_run_id, run_key)
    if objects.exists(ref):
        _adopt_standing(resolution, ref, encode_canonical(plan.to_document()), objects)


def _adopt_standing(resolution: Resolution, ref: str, body: bytes, objects: Objects) -> Resolution:
    """The resolution with the index digest of the plan that stands; refuses one that is another plan."""
    if not describe_other(objects, ref, body):
        return resolution
    found = _read_index_digest(objects, ref, len(body))
    archive, index = replace(resolution.plan.archive, index_digest=found), replace(resolution.index, digest=found)
    adopted = replace(resolution, plan=replace(resolution.plan, archive=archive), index=index)
    own = encode_canonical(adopted.plan.to_document())
    other = describe_other(objects, ref, own)
    if other:
        standing, wanted = _read_plan(objects, ref, MAX_BYTES), adopted.plan.to_document()
        names = [name for name in TOLD if name in standing and standing[name] != wanted[name]]
        if names:
            message = f"an earlier attempt of this request was resolved to another plan, {ref}: {', '.join(names)} changed since"
            raise refuse(CODE, message, ref=ref)
        raise refuse_other(CODE, ref, other, hashlib.sha256(own).hexdigest())
    return adopted


def _read_index_digest(objects: Objects, ref: str, most: int) -> str:
    """The index digest of the plan at a ref; "" where none such stands."""
    archive = _read_plan(objects, ref, most).get("archive")
    return str(archive.get("index_digest", "")) if isinstance(archive, dict) else ""


def _read_plan(objects: Objects, ref: str, most: int) -> dict[str, Any]:
    """What stands as a plan, whatever it says; nothing where it is no JSON object of that size."""
    try:
        found = parse_json(objects.read(ref, most), what="the plan", max_bytes=most)
    except (ObjectTooLarge, CanonicalError):
        return {}
    return found if isinstance(found, dict) else {}
