"""What has changed since a dataset was published: said with an answer that comes from an earlier run, never a reason to refuse.

A dataset depends on its feature set, on the slice of the index that its basis reads, on the label extract and on the
policy. A profile whose other sets changed is told, for whoever edited the file may have meant this one; an index that only
grew is not, for archives grow by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ofs_spark.foundation.canonical import CanonicalError, parse_json
from ofs_spark.foundation.documents import digest_content
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge
from ofs_spark.foundation.refs import name_profile
from ofs_spark.intent.model import Intent
from ofs_spark.pins.profile.compile import read_profile
from ofs_spark.workflow.context import RunContext

MOST_BYTES = 1 << 30
"""Of an index or extract whose digest is compared."""
SINCE = "has changed since this dataset was published"


def find_changes(manifest: Mapping[str, Any], intent: Intent, context: RunContext) -> list[str]:
    """What profile, index, extract and policy are no longer as the manifest pins them, each in words. Nothing is refused."""
    extract = context.wiring.labels.ref
    parts = (
        (f"the feature profile {name_profile(intent.feature_set_id)}", _judge_profile),
        (f"the archive index {manifest['archive']['index_ref']}", _judge_index),
        (f"the label extract {extract}", _judge_extract),
        ("the policy", _judge_policy),
    )
    found = []
    for what, judge in parts:
        try:
            found += [f"{what} {SINCE}: {how}" for how in judge(manifest, intent, context)]
        except Refusal as refusal:
            found.append(f"{what} {SINCE}: it no longer resolves: {refusal}")
        except OSError:
            found.append(f"{what} could not be looked at: whether it {SINCE} is not known")
    return found


def _judge_profile(manifest: Mapping[str, Any], intent: Intent, context: RunContext) -> Iterator[str]:
    """How the selected set differs; else how the rest of its file does."""
    set_id, version, pinned = intent.feature_set_id, intent.feature_set_version, manifest["feature_profile"]
    now = read_profile(context.profiles, set_id, version)
    own = now.find_set_digest(pinned.get("feature_set_recipe", ""))
    if own != pinned["feature_set_digest"]:
        yield f"feature set {set_id} {version} had the digest {pinned['feature_set_digest']}, it has {own}"
    elif now.digest != pinned["digest"]:
        yield f"feature set {set_id} {version}, which this dataset is of, is the same"


def _judge_index(manifest: Mapping[str, Any], intent: Intent, context: RunContext) -> Iterator[str]:
    """How the segments of the basis differ; an index that only grew differs in nothing."""
    archive = manifest["archive"]
    if _read_digest(context.objects, archive["index_ref"]) == archive["index_digest"]:
        return
    from ofs_spark.replay.index import digest_slice, read_index  # loads Arrow, for an index that has changed

    own = digest_slice(read_index(context.objects, intent.platform_run_id), intent.basis)
    if own != archive["slice_digest"]:
        yield f"the segments of its basis had the digest {archive['slice_digest']}, they have {own}"


def _judge_extract(manifest: Mapping[str, Any], _intent: Intent, context: RunContext) -> Iterator[str]:
    """Whether the wiring still names the extract."""
    pinned = manifest["pins"]["label_store"]["digest"]
    own = _read_digest(context.objects, context.wiring.labels.ref)
    if not own:
        yield "no label extract stands there"
    elif own != pinned:
        yield f"it had the digest {pinned}, it has {own}"


def _judge_policy(manifest: Mapping[str, Any], _intent: Intent, context: RunContext) -> Iterator[str]:
    """Which of the files that can change rows or admission are other ones."""
    pinned, own = manifest["policy"], context.policy
    if pinned["run_config_digest"] != own.run_config_digest:
        files = sorted(
            name
            for name in {*pinned["files"], *own.file_digests}
            if pinned["files"].get(name) != own.file_digests.get(name)
        )
        yield f"{', '.join(files)} of revision {own.policy_revision}; it was published under {pinned['revision']}"


def _read_digest(objects: Objects, ref: str) -> str:
    """The digest of a document that states it, computed anew; "" where no such document stands."""
    try:
        document = parse_json(objects.read(ref, MOST_BYTES), what="the document", max_bytes=MOST_BYTES)
    except (ObjectMissing, ObjectTooLarge, CanonicalError):
        return ""
    return digest_content(document) if isinstance(document, dict) else ""
