"""The plan of a comparison with logged values: a build's, and the file that is compared. Nothing of it needs a compiled loop."""

from __future__ import annotations

from ofs_spark.foundation.audit import Audit, audit_resolution
from ofs_spark.foundation.collect import Collector
from ofs_spark.foundation.errors import InternalError
from ofs_spark.intent.model import Intent
from ofs_spark.intent.run import Run
from ofs_spark.parity.logged_bytes import LoggedFile, find_logged
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.fixed_plan import fix_plan
from ofs_spark.workflow.plan import Resolution, resolve_plan

SCHEMA_VERSION = "ofs.feature_parity.v1"
PURPOSE = "logged_values"
"""In the audit of protected refs."""


def resolve_logged(
    intent: Intent, features_ref: str, held: Run, context: RunContext, audit: Audit
) -> tuple[Resolution, LoggedFile]:
    """The fixed plan and the file, or one refusal of everything that is wrong with either.

    Refuses as a build does at its pins, and for a ref at which no such file stands (PARITY_ANCHOR_INVALID, REF_SCOPE_INVALID).
    """
    faults = Collector()
    resolution = faults.attempt(lambda: resolve_plan(intent, context, audit))
    file = faults.attempt(lambda: _find_file(features_ref, context, audit))
    faults.raise_all()
    if resolution is None or file is None:
        raise InternalError("a pin is missing and nothing refused")
    return fix_plan(resolution, held, context.objects), file


def _find_file(features_ref: str, context: RunContext, audit: Audit) -> LoggedFile:
    """The file at a ref relative to the object root, or at its full address."""
    with audit_resolution(audit, features_ref, PURPOSE):
        return find_logged(context.objects, context.objects.relative(features_ref))
