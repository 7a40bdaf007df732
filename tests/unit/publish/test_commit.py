"""One conditional put: every answer of the store, and every missing answer, has one outcome."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.canonical import digest, encode_canonical
from ofs_spark.foundation.errors import InternalError, Refusal, refuse
from ofs_spark.foundation.ports import Objects, Put
from ofs_spark.foundation.refs import OwnedRef, name_evidence
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.publish.commit import Commit, Outcome, commit, require_committed
from ofs_spark.publish.evidence import Evidence, write_once
from ofs_spark.publish.file_list import put_file_list
from ofs_spark.publish.gate import judge_gates
from ofs_spark.publish.manifest import (
    BUCKETS_LISTED,
    Materialization,
    compose_manifest,
    digest_buckets,
    strip_uncompared,
)
from tests.unit.publish.tables import COLUMNS, TABLE, stage
from tests.unit.publish.test_gate import GOOD

REF = OwnedRef("run/ofs/manifests/dm_1.json")
EVIDENCE = name_evidence("platform_20260210T130700Z", "e", "run")


EXAMPLES = Path(__file__).parents[3] / "contracts" / "examples" / "valid"
COMPUTED = ("status", "gates", "replay", "labels", "columns", "materialization", "evidence", "build_environment")


def example(contract: str) -> dict[str, Any]:
    first = sorted((EXAMPLES / contract).iterdir())[0]
    document: dict[str, Any] = json.loads(first.read_text())
    return document


def table(attempt: str, content: str, buckets: int = 2) -> Materialization:
    objects = MemoryObjects()
    entries = stage(objects)
    return Materialization(
        attempt=attempt,
        path=f"{TABLE}/{attempt}",
        delta_log_sha256=attempt[-1] * 64,
        columns=COLUMNS,
        rows=40,
        layout={"buckets": buckets},
        buckets=buckets,
        leaves=[leaf for entry in entries for leaf in entry.leaves],
        content_digest=content * 64,
        files=put_file_list(objects, "platform_20260210T130700Z", entries),
        null_counts={column.name: 0 for column in COLUMNS},
        truncated={"f": 3},
    )


def manifest(attempt: str = "a1", content: str = "d", **pins: Any) -> dict[str, Any]:
    whole = example("learning.dataset_manifest.v1")
    pinned = {name: value for name, value in whole.items() if name not in COMPUTED}
    pinned["pins"] = {"label_marker": "m1", **pins}
    pinned["basis"] = [{**span, "source": "archive" if attempt == "a1" else "bus"} for span in pinned["basis"]]
    evidence = {"replay": Evidence(f"r/{attempt}.json", "ab" * 32)}
    labels = example("ofs.label_resolution.v1")
    made = table(attempt, content)
    return compose_manifest(pinned, made, whole["replay"], labels, judge_gates(GOOD), evidence, {"python": attempt})


@dataclasses.dataclass
class Unsteady(MemoryObjects):
    """A store that loses answers: `put` and `reads` say what happens at each call."""

    put: str = "ok"
    lost_reads: int = 0

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        if self.put == "refused":
            raise refuse("REF_ACCESS_DENIED", "no", ref=ref)
        if self.put == "lost request":
            raise TimeoutError("no answer")
        put = super().put_if_absent(ref, body)
        if self.put == "lost reply":
            raise ConnectionResetError("no answer")
        return put

    def read(self, ref: str, _most: int | None = None, /) -> bytes:
        if self.lost_reads:
            self.lost_reads -= 1
            raise TimeoutError("no answer")
        return super().read(ref)


def committed(objects: Objects, document: dict[str, Any], fence: Callable[[], None] = lambda: None) -> Commit:
    return commit(objects, REF, document, fence, pause=lambda _: None)


def test_the_first_put_commits_and_writes_the_canonical_document() -> None:
    objects = MemoryObjects()
    assert committed(objects, manifest()).outcome is Outcome.COMMITTED
    assert objects.read(REF) == encode_canonical(manifest())


def test_another_attempt_of_one_plan_reports_the_standing_manifest() -> None:
    objects = MemoryObjects()
    committed(objects, manifest("a1"))
    second = committed(objects, manifest("a2"))
    assert (second.outcome, second.standing) == (Outcome.ALREADY_PUBLISHED, manifest("a1"))
    assert require_committed(second, REF, manifest("a2")) == manifest("a1")


@pytest.mark.parametrize(
    ("other", "differing"),
    [(manifest("a2", content="e"), ["content_digest"]), (manifest("a2", label_marker="m2"), ["pins/label_marker"])],
)
def test_other_content_or_pins_under_the_id_conflict(other: dict[str, Any], differing: list[str]) -> None:
    objects = MemoryObjects()
    committed(objects, manifest())
    result = committed(objects, other)
    assert result.outcome is Outcome.CONFLICT
    with pytest.raises(Refusal) as refused:
        require_committed(result, REF, other)
    assert refused.value.code == "MANIFEST_IMMUTABILITY_VIOLATION"
    assert refused.value.details["differing"] == differing
    assert objects.read(REF) == encode_canonical(manifest())


@pytest.mark.parametrize("noise", [b"", b"{", b"[]", b"{}"])
def test_an_unreadable_standing_manifest_conflicts(noise: bytes) -> None:
    objects = MemoryObjects({REF: noise})
    assert committed(objects, manifest()).outcome is Outcome.CONFLICT
    assert objects.read(REF) == noise


def test_a_lost_reply_is_a_success_and_a_lost_request_stays_unknown() -> None:
    assert committed(Unsteady(put="lost reply"), manifest()).outcome is Outcome.COMMITTED
    assert committed(Unsteady(put="lost reply", lost_reads=2), manifest()).outcome is Outcome.COMMITTED
    unknown = committed(Unsteady(put="lost request"), manifest())
    assert unknown == Commit(Outcome.UNKNOWN, None)
    with pytest.raises(Refusal, match="COMMIT_OUTCOME_UNKNOWN") as refused:
        require_committed(unknown, REF, manifest())
    assert refused.value.to_document()["retryable"]


def test_a_retried_put_that_meets_its_own_manifest_is_a_success() -> None:
    objects = MemoryObjects()
    committed(objects, manifest())
    assert committed(objects, manifest()).outcome is Outcome.COMMITTED


def test_without_reads_a_created_manifest_is_committed_and_an_existing_one_unknown() -> None:
    assert committed(Unsteady(lost_reads=99), manifest()).outcome is Outcome.COMMITTED
    standing = Unsteady({REF: encode_canonical(manifest("a2"))}, lost_reads=99)
    assert committed(standing, manifest()).outcome is Outcome.UNKNOWN


def test_a_manifest_that_may_not_be_read_is_not_taken_for_a_refused_put() -> None:
    class WriteOnly(MemoryObjects):
        def read(self, ref: str, _most: int | None = None, /) -> bytes:
            raise refuse("REF_ACCESS_DENIED", "no", ref=ref)

    assert committed(WriteOnly(), manifest()).outcome is Outcome.COMMITTED
    assert committed(WriteOnly({REF: b"x"}), manifest()).outcome is Outcome.UNKNOWN


def test_a_lost_request_behind_another_publisher_is_already_published() -> None:
    objects = Unsteady({REF: encode_canonical(manifest("a2"))}, put="lost request")
    assert committed(objects, manifest()).outcome is Outcome.ALREADY_PUBLISHED


def test_a_refusal_of_the_store_is_not_an_unknown_outcome() -> None:
    with pytest.raises(Refusal, match="REF_ACCESS_DENIED"):
        committed(Unsteady(put="refused"), manifest())


def test_a_driver_that_lost_its_lease_does_not_put() -> None:
    def fence() -> None:
        raise refuse("LEASE_LOST", "taken over")

    objects = MemoryObjects()
    with pytest.raises(Refusal, match="LEASE_LOST"):
        committed(objects, manifest(), fence)
    assert objects.bodies == {}


def test_racing_publishers_end_with_one_manifest_and_all_report_it(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path)
    documents = [manifest(f"a{n}") for n in range(8)]
    results: list[Commit] = []
    start = threading.Barrier(len(documents))

    def publish(document: dict[str, Any]) -> None:
        start.wait()
        results.append(commit(objects, REF, document))

    threads = [threading.Thread(target=publish, args=(document,)) for document in documents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.outcome.value for r in results) == ["ALREADY_PUBLISHED"] * 7 + ["COMMITTED"]
    assert {encode_canonical(dict(r.standing or {})) for r in results} == {objects.read(REF)}


def test_what_two_builds_of_one_plan_may_differ_in_is_not_compared() -> None:
    one, other = manifest("a1"), manifest("a2")
    assert one != other
    assert strip_uncompared(one) == strip_uncompared(other)
    assert strip_uncompared(manifest(content="e")) != strip_uncompared(one)


def test_the_manifest_says_per_column_what_readers_ask() -> None:
    columns = {column["name"]: column for column in manifest()["columns"]}
    assert columns["f"]["truncated_rows"] == 3
    assert columns["d"]["unit"] == "EUR"
    assert list(columns) == [column.name for column in COLUMNS]


def test_a_manifest_that_breaks_its_contract_is_not_written() -> None:
    with pytest.raises(InternalError, match="breaks its contract"):
        compose_manifest({}, table("a1", "d"), {}, example("ofs.label_resolution.v1"), [], {}, {})


def test_buckets_have_digests_of_their_own() -> None:
    leaves = table("a1", "d").leaves
    found = digest_buckets(leaves, 2)
    assert found == digest_buckets(leaves[::-1], 2)
    assert found[1] == digest([])
    assert digest_buckets(leaves[1:], 2) != found
    assert manifest()["materialization"]["bucket_digests"] == found


def test_the_digests_of_many_buckets_stay_in_the_file_list() -> None:
    made = dataclasses.replace(table("a1", "d"), buckets=2 * BUCKETS_LISTED)
    whole = example("learning.dataset_manifest.v1")
    pinned = {name: value for name, value in whole.items() if name not in COMPUTED}
    document = compose_manifest(
        pinned, made, whole["replay"], example("ofs.label_resolution.v1"), judge_gates(GOOD), {}, {}
    )
    assert "bucket_digests" not in document["materialization"]


def test_evidence_is_written_once() -> None:
    objects = MemoryObjects()
    first = write_once(objects, EVIDENCE, {"b": 1, "a": 2})
    assert write_once(objects, EVIDENCE, {"a": 2, "b": 1}) == first
    with pytest.raises(Refusal, match="EVIDENCE_IMMUTABILITY_VIOLATION"):
        write_once(objects, EVIDENCE, {"a": 3})
    with pytest.raises(Refusal, match="BUILD_PLAN_IMMUTABILITY_VIOLATION"):
        write_once(objects, EVIDENCE, {"a": 3}, "BUILD_PLAN_IMMUTABILITY_VIOLATION")
    assert objects.read(EVIDENCE) == b'{"a":2,"b":1}'
