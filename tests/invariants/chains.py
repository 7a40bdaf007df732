"""Rules about datasets that take the place of others: from the manifests that say so, and the links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.invariants.view import View, find_maker

Document = dict[str, Any]


def judge_links(view: View) -> Iterator[str]:
    """I17."""
    claims: dict[str, list[str]] = defaultdict(list)
    for ref, manifest in view.manifests.items():
        for superseded in manifest.get("supersedes", ()):
            claims[f"{manifest['platform_run_id']}/ofs/supersession/{superseded}.json"].append(ref)
    links = {ref: view.document(ref) for ref in view.below("ofs/supersession")}
    for ref, claimants in claims.items():
        if len(claimants) > 1:
            yield f"{ref} would have {len(claimants)} successors: {sorted(claimants)}"
        named = (links.get(ref) or {}).get("successor")
        if named not in {view.manifests[one]["dataset_manifest_id"] for one in claimants}:
            yield f"{ref} names {named}; {sorted(claimants)} supersede its dataset"
    for ref, link in links.items():
        yield from _judge_link(view, ref, link)


def _judge_link(view: View, ref: str, link: Document | None) -> Iterator[str]:
    if not isinstance(link, dict):
        yield f"{ref} is no whole JSON object"
        return
    home = ref.rsplit("/", 2)[0]
    if (link["platform_run_id"], link["superseded"]) != (home.split("/")[0], Path(ref).stem):
        yield f"{ref} is the link of {link['superseded']} of {link['platform_run_id']}"
    if f"{home}/manifests/{link['superseded']}.json" not in view.manifests:
        yield f"{ref} supersedes what is not published"
    if link["state"] != "COMPLETED":
        return
    successor = f"{home}/manifests/{link['successor']}.json"
    manifest = view.manifests.get(successor, {})
    if link["manifest"] != {"ref": successor, "sha256": view.sha256(successor)}:
        yield f"{ref} names {link['manifest']}; there is {view.sha256(successor) or 'nothing'}"
    elif link["superseded"] not in manifest.get("supersedes", ()) or link["run_key"] != find_maker(manifest):
        yield f"{ref} names {successor}, which supersedes {manifest.get('supersedes')} and is of {find_maker(manifest)}"
