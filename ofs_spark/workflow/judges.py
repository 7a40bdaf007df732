"""What a contract document must be beyond what its schema says, judged from its text alone.

Each is judged by the rules of whoever reads it: a profile compiles, an index is proven, stated digests are the content's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ofs_spark.foundation import contracts
from ofs_spark.foundation.canonical import MAX_BYTES, parse_json
from ofs_spark.foundation.collect import join_faults, list_faults
from ofs_spark.foundation.contracts import DocumentFault
from ofs_spark.foundation.errors import Refusal

Faults = list[DocumentFault]
FindLate = Callable[[Mapping[str, Any]], Iterable[DocumentFault]]

INDEX, EXTRACT, ONLINE = "archive.segment_index.v0", "label_store.extract.v0", "online_anchor"
FACTS, POLICY = "run_facts_view", "policy"
MAX_VALIDATED_BYTES = 256 * 1024 * 1024
"""Of a file given to `ofs validate`: a segment index lists every file of a platform run."""
_LARGE = (INDEX, ONLINE)
"""Contracts whose documents may be of any size that a command takes."""


def find_document_faults(raw: bytes, contract: str, path: str) -> Faults:
    """Every fault of the document in `raw`, in fault order. CanonicalError for a text that has no value.

    path: of its file; the name of a policy file says which keys it holds.
    """
    if contract == POLICY:
        return _judge_policy(raw, path)
    return _JUDGES.get(contract, _judge_contract)(raw, contract)


def parse_text(raw: bytes, contract: str) -> Any:
    """The value as a reader of this contract gets it."""
    if not contracts.is_yaml(contract):
        return parse_json(raw, max_bytes=MAX_VALIDATED_BYTES if contract in _LARGE else MAX_BYTES)
    from ofs_spark.foundation.strict_yaml import parse_yaml

    return parse_yaml(raw, quote=not contracts.is_secret(contract))


def _judge_contract(raw: bytes, contract: str) -> Faults:
    return contracts.find_faults(parse_text(raw, contract), contract)


def _judge_late(raw: bytes, contract: str, find_late: FindLate) -> Faults:
    """What the schema says; of a document that keeps it, what else is wrong with it."""
    document = parse_text(raw, contract)
    return contracts.find_faults(document, contract) or contracts.sort_faults(find_late(document))


def _judge_profile(raw: bytes, contract: str) -> Faults:
    """What the schema says, why a feature set or group does not compile, and a digest that is not the content's."""
    from ofs_spark.pins.profile.compile import find_profile_faults, parse_profile

    return join_faults(find_profile_faults(parse_profile(raw)), _judge_contract(raw, contract))


def _find_index_faults(document: Mapping[str, Any]) -> Faults:
    """Where an index contradicts itself, its digest included."""
    from ofs_spark.replay.index import prove_index  # loads Arrow

    return list_refused(lambda: prove_index(document, document["platform_run_id"]))


def _find_extract_faults(document: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """Where the manifest of an extract contradicts itself, its digest included."""
    from ofs_spark.labels.extract import EXTRACT as KIND  # loads Arrow
    from ofs_spark.labels.extract import find_extract_faults

    late = find_extract_faults(document, [file["path"] for file in document["files"]])
    return (DocumentFault(KIND.invalid, one["pointer"], one["message"]) for one in late)


def _find_anchor_faults(document: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """What a reader of anchors refuses, and digests that are not the content's."""
    from ofs_spark.parity.anchors import find_anchor_faults

    return find_anchor_faults(document)


def _find_facts_faults(document: Mapping[str, Any]) -> Iterator[DocumentFault]:
    """Outputs of which the view states two digests."""
    from ofs_spark.pins.run_facts import find_contradictions

    return find_contradictions(document)


def _judge_policy(raw: bytes, path: str) -> Faults:
    """What a policy folder with this file in it would be refused for; of all files as one document, what its contract says."""
    from ofs_spark.foundation.policy import find_file_faults  # loads YAML

    return find_file_faults(parse_text(raw, POLICY), Path(path).name)


def _judge_wiring(raw: bytes, contract: str) -> Faults:
    """What the schema says, every text that holds a password of its own, and every variable where none is taken."""
    from ofs_spark.foundation.wiring import find_wiring_faults

    return find_wiring_faults(parse_text(raw, contract))


_JUDGES: Mapping[str, Callable[[bytes, str], Faults]] = {
    "feature_profile": _judge_profile,
    "wiring": _judge_wiring,
    INDEX: partial(_judge_late, find_late=_find_index_faults),
    EXTRACT: partial(_judge_late, find_late=_find_extract_faults),
    ONLINE: partial(_judge_late, find_late=_find_anchor_faults),
    FACTS: partial(_judge_late, find_late=_find_facts_faults),
}
"""Contracts whose documents must be more than their schema says, each with who knows it."""


def list_refused(*steps: Callable[[], object]) -> Faults:
    """Every fault that the steps refuse, in fault order; what is no fault of the document or its pins is raised."""
    found: set[DocumentFault] = set()
    for step in steps:
        try:
            step()
        except Refusal as refusal:
            if refusal.code == "ENVIRONMENT_UNFIT":
                raise
            found.update(read_faults(list_faults(refusal)))
    return contracts.sort_faults(found)


def read_faults(listed: Iterable[Mapping[str, Any]]) -> Iterable[DocumentFault]:
    """Faults of a refusal's details as values."""
    return (DocumentFault(one["code"], one["pointer"], one["message"]) for one in listed)
