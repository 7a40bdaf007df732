"""The link that a commit needs: reserved right before the manifest's put, completed once it stands. One successor each.

A reservation is a conditional put, so that of any number of racing successors one has it. It is replaced by comparing and
swapping, and only where it came to nothing: its run is not live, and no manifest stands that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.canonical import MAX_BYTES, encode_canonical
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, Objects, ObjectTooLarge, Put
from ofs_spark.foundation.refs import OwnedRef, name_manifest, name_supersession
from ofs_spark.intent.control import RunControl
from ofs_spark.publish.links import COMPLETED, compose_links, parse_link

Document = Mapping[str, Any]

INVALID = "SUPERSESSION_LINK_INVALID"
ROUNDS = 8
"""Times a link is looked at anew because another driver changed it meanwhile."""


def reserve_links(manifest: Document, objects: Objects, control: RunControl) -> None:
    """Has the links to a manifest that is about to be put; nothing where it supersedes none.

    SUPERSESSION_LINK_INVALID where another successor has one. The reservation of an earlier attempt is its own.
    """
    for link in compose_links(manifest):
        _put_link(link, objects, control)


def complete_links(
    manifest: Document, named: Mapping[str, str], objects: Objects, control: RunControl
) -> dict[str, str]:
    """Says in the links that the manifest, `named` by ref and sha256, stands: ref → WRITTEN, or EXISTS where it said so.

    Refuses as `reserve_links`: where another successor stands, the link decides the chain.
    """
    links = compose_links(manifest, named)
    return {
        name_supersession(one["platform_run_id"], one["superseded"]): _put_link(one, objects, control) for one in links
    }


def _put_link(link: Document, objects: Objects, control: RunControl) -> str:
    """Puts the link, or leaves what says the same: WRITTEN or EXISTS."""
    run_id, superseded = link["platform_run_id"], link["superseded"]
    ref, body = name_supersession(run_id, superseded), encode_canonical(dict(link))
    for _ in range(ROUNDS):
        if _try_putting(ref, body, objects):
            return "WRITTEN"
        seen = _read(ref, objects, run_id, superseded)
        if seen is None:
            continue
        standing = parse_link(seen, run_id, superseded)
        if seen == body or (standing is not None and _says_enough(standing, link)):
            return "EXISTS"
        _require_replaceable(standing, link, ref, objects, control)
        if objects.swap(ref, seen, body):
            return "WRITTEN"
    message = f"{ref} is changed by other drivers again and again"
    raise refuse(INVALID, message, link=ref, superseded=superseded)


def _try_putting(ref: OwnedRef, body: bytes, objects: Objects) -> bool:
    """Whether the put made the object. A put without an answer may have landed: its OSError is raised if nothing stands."""
    try:
        return objects.put_if_absent(ref, body) is Put.CREATED
    except OSError:
        if not objects.exists(ref):
            raise
        return False


def _read(ref: OwnedRef, objects: Objects, platform_run_id: str, superseded: str) -> bytes | None:
    """What stands at a ref; None for nothing, or more than any link has. Half an object is read again."""
    body = b""
    for _ in range(2):
        try:
            body = objects.read(ref, MAX_BYTES)
        except (ObjectMissing, ObjectTooLarge):
            return None
        if parse_link(body, platform_run_id, superseded) is not None:
            break
    return body


def _says_enough(standing: Document, link: Document) -> bool:
    """Whether the link that stands reserves for the same plan; only a completed one says that a manifest stands."""
    same = all(standing[name] == link[name] for name in ("successor", "plan_id"))
    return same and link["state"] != COMPLETED


def _require_replaceable(
    standing: Document | None, link: Document, ref: str, objects: Objects, control: RunControl
) -> None:
    """SUPERSESSION_LINK_INVALID where what stands may name the successor. The same dataset's own link never does: its
    manifest decides.

    Whether the run lives is asked first: what it has not put when it is gone, it puts no more.
    """
    if standing is None:
        if link["state"] != COMPLETED:  # a manifest that stands mends its link
            message = f"{ref} holds no supersession link: run the request of the dataset's successor again, it mends it"
            raise refuse(INVALID, message, link=ref, superseded=link["superseded"])
        return
    if standing["successor"] == link["successor"]:
        return
    live = control.is_live(standing["run_key"])
    manifest = name_manifest(standing["platform_run_id"], standing["successor"])
    stands = objects.exists(manifest)
    if live or stands:
        raise _refuse_second(standing, ref, manifest if stands else "")


def _refuse_second(standing: Document, ref: str, manifest: str) -> Refusal:
    known = {"link": ref, "superseded": standing["superseded"], "successor": standing["successor"]}
    if manifest:
        message = f"{ref}: {standing['superseded']} is superseded by {standing['successor']}, which is published"
        return refuse(INVALID, message, **known, ref=manifest)
    message = (
        f"{ref}: {standing['successor']}, which run {standing['run_key']} is about to publish, takes the place of "
        f"{standing['superseded']}"
    )
    return refuse(INVALID, message, **known, holder=standing["run_key"])
