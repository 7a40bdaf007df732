"""What a gc takes away: never what a manifest, a prepared manifest, a run or its own age keeps; all else of its kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ofs_spark import pipeline
from ofs_spark.foundation import contracts
from ofs_spark.foundation.clock import FixedClock, to_micros
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Clearable
from ofs_spark.intent.run import Run, State, Transition
from ofs_spark.io.context import open_context
from ofs_spark.io.embedded_engine import EmbeddedEngine
from ofs_spark.io.ledger.memory import MemoryLedger
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.workflow import gc
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.gc_orphans import HOUR_US, UNPUBLISHED_GRACES, find_least_grace
from tests.spec.tables.windows import world
from tests.worlds.model import RUN
from tests.worlds.writer import write_world

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = json.loads((ROOT / "contracts/examples/valid/learning.dataset_manifest.v1/training_ready.json").read_bytes())
HOME = f"{RUN}/ofs"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
OTHER = "platform_20260211T000000Z"


def name_attempt(token: int, number: int) -> str:
    return f"attempt-{token}-{number:012x}"


def digest(number: int) -> str:
    return f"{number:064x}"


def manifest(dataset: int, attempt: str, files: str, plan: str) -> dict[str, Any]:
    """A manifest of a dataset, as it names its attempt's table and its file list."""
    dataset_id = f"dm_{dataset:032x}"
    table = {
        **MANIFEST["materialization"],
        "path": f"{HOME}/datasets/{dataset_id}/{attempt}",
        "attempt": attempt,
        "files": {**MANIFEST["materialization"]["files"], "ref": f"{HOME}/files/{files}.parquet"},
    }
    ids = {"dataset_manifest_id": dataset_id, "plan_id": plan, "platform_run_id": RUN}
    return {**MANIFEST, **ids, "materialization": table}


def prepare(dataset: int, attempt: str, files: str, plan: str) -> dict[str, Any]:
    """The prepared manifest of such a manifest."""
    own = {"schema_version": "ofs.prepared_manifest.v1", "run_key": f"{dataset:032x}", "intent": {}}
    return {**own, "manifest": manifest(dataset, attempt, files, plan)}


@dataclass
class Yard:
    """A store in memory whose objects have ages, a ledger in memory, and a clock that stands still."""

    context: RunContext
    store: MemoryObjects = field(default_factory=MemoryObjects)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)

    @property
    def grace(self) -> int:
        return find_least_grace(self.context.policy)

    def put(self, ref: str, hours: float = 1_000.0, body: bytes = b"x") -> str:
        """An object that was written so many hours ago."""
        self.store.bodies[ref] = body
        self.store.written[ref] = to_micros(NOW) - round(hours * HOUR_US)
        return ref

    def put_json(self, ref: str, document: Any, hours: float = 1_000.0) -> str:
        return self.put(ref, hours, json.dumps(document).encode())

    def run(self, token: int, lease_hours: float, state: State = State.RUNNING, home: str | None = RUN) -> str:
        """A run of the ledger under a claim, whose lease lasts so many hours from now."""
        key = f"{len(self.ledger.held):032x}"
        until = to_micros(NOW) + round(lease_hours * HOUR_US)
        run = Run(key, f"request.{key}", "ab" * 32, state, token=token, lease_until=until, platform_run_id=home)
        self.ledger.register(run, Transition(key, 0, 0, None, State.QUEUED, "REQUESTED", {}))
        return key

    def publish(self, dataset: int, attempt: str, files: str, plan: str) -> str:
        document = manifest(dataset, attempt, files, plan)
        ref = f"{HOME}/manifests/{document['dataset_manifest_id']}.json"
        self.put_json(ref.replace(".json", ".v0.json"), {"any": "view"})
        return self.put_json(ref, document)

    def put_table(self, dataset: int, attempt: str, hours: float = 1_000.0) -> list[str]:
        table = f"{HOME}/datasets/dm_{dataset:032x}/{attempt}"
        names = ("part-0000000-00000.parquet", "_delta_log/00000000000000000000.json")
        return [self.put(f"{table}/{name}", hours) for name in names]

    def gc(self, *, removes: bool = True, grace: int | None = None, store: Clearable | None = None) -> dict[str, Any]:
        held = store or self.store
        control = replace(self.context.control, ledger=self.ledger, clock=FixedClock(NOW))
        context = replace(self.context, objects=held, clearable=held, control=control, clock=FixedClock(NOW))
        return pipeline.clear_orphans((), grace, context, removes=removes)

    def list_standing(self) -> set[str]:
        """What stands, but for the receipts of gcs."""
        return {ref for ref in self.store.bodies if "/ofs/gc/" not in ref}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunContext]:
    written = write_world(world("event|time|card\ne0|10:00|1"), tmp_path_factory.mktemp("gc"))
    with open_context(written.wiring, None, lambda _room, _doing: None, EmbeddedEngine) as opened:
        yield opened


@pytest.fixture
def yard(context: RunContext) -> Yard:
    return Yard(context)


def find_refs(answer: dict[str, Any]) -> set[str]:
    return {one["ref"] for one in answer["orphans"]}


def test_every_kind_of_orphan_goes_and_what_is_named_stays(yard: Yard) -> None:
    named, lost, plan = name_attempt(1, 1), name_attempt(2, 2), digest(7)
    yard.publish(1, named, digest(1), plan)
    kept = {*yard.list_standing(), *yard.put_table(1, named), yard.put(f"{HOME}/files/{digest(1)}.parquet")}
    gone = {
        *yard.put_table(1, lost),
        *yard.put_table(2, lost),
        yard.put(f"{HOME}/files/{digest(2)}.parquet"),
        yard.put(f"{HOME}/staging/{plan}/{named}/00000-00000000.arrow"),
        yard.put(f"{HOME}/staging/{plan}/scan.json"),
        yard.put(f"{HOME}/staging/{plan}/{digest(3)}.arrow"),
        yard.put(f"{HOME}/datasets/dm_{1:032x}/{named}/.put-abc"),
        yard.put(f"{HOME}/files/.put-def"),
    }
    listed = yard.gc(removes=False)
    assert (listed["applied"], listed["removed"]) == (False, {"objects": 0, "bytes": 0})
    assert yard.list_standing() == kept | gone
    assert listed["found"] == {"orphans": 7, "objects": len(gone), "bytes": len(gone)}
    assert {one["kind"] for one in listed["orphans"]} == {"table", "staged_rows", "file_list", "unfinished"}
    applied = yard.gc()
    assert yard.list_standing() == kept
    assert applied["orphans"] == listed["orphans"]
    assert applied["removed"] == {"objects": len(gone), "bytes": len(gone)}
    assert applied["kept"] == {"referenced": 2}
    assert yard.gc()["found"]["orphans"] == 0


def test_what_is_of_no_kind_is_never_touched(yard: Yard) -> None:
    strange = [
        "datasets/dm_1/by_hand/part.parquet", "datasets/dm_1/readme", "files/list.parquet", "staging/notes/x.arrow",
        "supersession/dm_1.json", "retired/dm_1.json", "governance/1.json", "run_receipts/1.json",
        "replay_completeness/1.attempt-1.json", "gc/2026.json", f"files/{digest(1)}.parquet.bak", "other/x",
    ]  # fmt: skip
    for name in strange:
        yard.put(f"{HOME}/{name}")
    foreign = (f"{RUN}/archive/.put-x", "elsewhere/ofs/files/.put-x", f"{RUN}x/ofs/files/.put-x")
    for ref in foreign:
        yard.put(ref)
    before = dict(yard.store.bodies)
    assert yard.gc()["found"]["orphans"] == 0
    assert yard.store.bodies == before


def test_the_youngest_object_is_the_age_of_all(yard: Yard) -> None:
    grace = yard.grace / HOUR_US
    old, young, writing = (name_attempt(1, n) for n in range(3))
    gone = set(yard.put_table(1, old, grace + 0.01))
    yard.put_table(1, young, grace + 0.01)
    yard.put(f"{HOME}/datasets/dm_{1:032x}/{young}/part-0000000-00001.parquet", grace)
    yard.put_table(1, writing)
    yard.put(f"{HOME}/datasets/dm_{1:032x}/{writing}/.put-abc", 1)
    before = yard.list_standing()
    assert yard.gc()["kept"] == {"young": 3}
    assert yard.list_standing() == before - gone
    assert yard.gc(grace=round(2_000 * HOUR_US))["found"]["orphans"] == 0


def test_staged_rows_of_a_plan_without_a_dataset_are_kept_longer(yard: Yard) -> None:
    grace = yard.grace / HOUR_US
    ref = yard.put(f"{HOME}/staging/{digest(1)}/scan.json", UNPUBLISHED_GRACES * grace)
    assert yard.gc()["kept"] == {"unpublished": 1}
    yard.put(ref, UNPUBLISHED_GRACES * grace + 0.01)
    assert find_refs(yard.gc()) == {ref.rsplit("/", 1)[0]}


def test_a_prepared_manifest_keeps_all_it_names_until_its_dataset_stands(yard: Yard) -> None:
    attempt, plan = name_attempt(3, 3), digest(9)
    pending = yard.put_json(f"{HOME}/publish_pending/{'e' * 32}.json", prepare(1, attempt, digest(1), plan))
    table = {*yard.put_table(1, attempt), yard.put(f"{HOME}/files/{digest(1)}.parquet")}
    assert yard.gc()["kept"] == {"pending": 1, "referenced": 2}
    yard.publish(1, name_attempt(4, 4), digest(2), plan)
    assert find_refs(yard.gc()) == {pending}, "what it named may go when it is gone"
    assert table <= yard.list_standing()
    assert yard.gc()["removed"]["objects"] == len(table)
    assert not table & yard.list_standing()


@pytest.mark.parametrize("hours", [0.01, -0.99])
@pytest.mark.parametrize("home", [RUN, None])
def test_a_run_whose_lease_lasts_keeps_its_attempts_and_all_that_attempts_share(
    yard: Yard, hours: float, home: str | None
) -> None:
    yard.run(2, hours, home=home)
    own, other = name_attempt(2, 1), name_attempt(1, 1)
    yard.put_table(1, own)
    yard.put(f"{HOME}/files/{digest(1)}.parquet")
    yard.put(f"{HOME}/staging/{digest(1)}/scan.json")
    yard.put(f"{HOME}/files/.put-x")
    gone = set(yard.put_table(1, other))
    before = yard.list_standing()
    assert yard.gc()["kept"] == {"running": 4}
    assert yard.list_standing() == before - gone


@pytest.mark.parametrize(
    ("hours", "state", "home"),
    [(-1.01, State.RUNNING, RUN), (5, State.FAILED, RUN), (5, State.DONE, RUN), (5, State.RUNNING, OTHER)],
)
def test_a_run_that_may_not_commit_keeps_nothing(yard: Yard, hours: float, state: State, home: str) -> None:
    yard.run(2, hours, state, home)
    yard.put_table(1, name_attempt(2, 1))
    assert yard.gc()["found"]["orphans"] == 1
    assert yard.list_standing() == set()


def spoil(document: dict[str, Any], how: str) -> bytes:
    if how == "half":
        return json.dumps(document).encode()[:100]
    if how == "later contract":
        return json.dumps({**document, "schema_version": "learning.dataset_manifest.v9"}).encode()
    if how == "another's":
        return json.dumps({**document, "dataset_manifest_id": f"dm_{99:032x}"}).encode()
    if how == "large":
        return b" " * (40 << 20)
    return b"[]"


SPOILED = ["half", "later contract", "another's", "large", "no object"]


@pytest.mark.parametrize("how", SPOILED)
def test_where_a_manifest_cannot_be_read_nothing_is_removed(yard: Yard, how: str) -> None:
    document = manifest(1, name_attempt(1, 1), digest(1), digest(7))
    yard.publish(1, name_attempt(1, 1), digest(1), digest(7))
    spoiled = yard.put(f"{HOME}/manifests/{document['dataset_manifest_id']}.json", body=spoil(document, how))
    yard.put_table(2, name_attempt(2, 2))
    beside = yard.put(f"{OTHER}/ofs/files/{digest(1)}.parquet")
    before = yard.list_standing()
    answer = yard.gc()
    assert yard.list_standing() == before - {beside}, "another platform run is cleaned"
    (warning,) = answer["warnings"]
    assert RUN in warning
    assert spoiled in warning


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"materialization": {"path": "x"}}', json.dumps(MANIFEST).encode(), b" " * (41 << 20)],
    ids=["half", "a list", "no manifest", "a manifest itself", "too large"],
)
def test_where_a_prepared_manifest_cannot_be_read_nothing_is_removed(yard: Yard, body: bytes) -> None:
    ref = yard.put(f"{HOME}/publish_pending/{'e' * 32}.json", body=body)
    yard.put_table(2, name_attempt(2, 2))
    before = yard.list_standing()
    assert [ref in one for one in yard.gc()["warnings"]] == [True]
    assert yard.list_standing() == before


class Meanwhile(MemoryObjects):
    """After its n-th listing somebody else does something."""

    def __init__(self, held: MemoryObjects, at: int, act: Any) -> None:
        super().__init__(held.bodies, held.written)
        self.at, self.act = at, act

    def list_objects(self, ref: str) -> list[Any]:
        """Lists first: what happens after that is not in it."""
        listed = super().list_objects(ref)
        self.at -= 1
        if self.at == 0:
            self.act()
        return listed


@pytest.mark.parametrize(("part", "last"), [("table", 3), ("file list", 4)])
@pytest.mark.parametrize("known", [False, True], ids=["a new run", "a run whose lease ran out"])
def test_what_is_committed_after_the_listing_is_a_reference(yard: Yard, part: str, last: int, known: bool) -> None:
    """After every listing of a gc up to its last look, somebody publishes what it is about to remove."""
    for at in range(1, last + 1):
        yard.store.bodies.clear()
        run_key = yard.run(1, -5) if known else ""
        attempt = name_attempt(1, 1)
        published: list[str] = []
        named = yard.put_table(1, attempt) if part == "table" else [yard.put(f"{HOME}/files/{digest(1)}.parquet")]
        lost = yard.put_table(2, attempt)

        def publish(attempt: str = attempt, published: list[str] = published, run_key: str = run_key) -> None:
            key = run_key or yard.run(1, 1)
            yard.ledger.held[key] = replace(yard.ledger.held[key], state=State.DONE)
            published.append(yard.publish(1, attempt, digest(1), digest(7)))

        yard.gc(store=Meanwhile(yard.store, at, publish))
        assert yard.list_standing() >= {*named, *published}, at
        assert published
        assert not set(lost) & yard.list_standing()


def test_two_gcs_at_once_do_what_one_does(yard: Yard) -> None:
    """At every listing of the first, the second is done from beginning to end."""
    for at in range(1, 12):
        yard.store.bodies.clear()
        yard.publish(1, name_attempt(1, 1), digest(1), digest(7))
        kept = {*yard.list_standing(), *yard.put_table(1, name_attempt(1, 1))}
        yard.put_table(1, name_attempt(1, 2))
        yard.put(f"{HOME}/files/{digest(2)}.parquet")
        first = yard.gc(store=Meanwhile(yard.store, at, yard.gc))
        assert yard.list_standing() == kept
        assert first["warnings"] == []


def test_what_says_that_the_others_are_there_goes_first(yard: Yard) -> None:
    removed: list[str] = []

    class Recording(MemoryObjects):
        def remove(self, ref: str) -> None:
            removed.append(ref.rsplit("/", 1)[1])
            super().remove(ref)

    yard.put_table(1, name_attempt(1, 1))
    yard.put(f"{HOME}/staging/{digest(1)}/scan.json")
    yard.put(f"{HOME}/staging/{digest(1)}/{digest(2)}.arrow")
    yard.gc(store=Recording(yard.store.bodies, yard.store.written))
    assert removed == [
        "00000000000000000000.json",
        "part-0000000-00000.parquet",
        "scan.json",
        f"{digest(2)}.arrow",
    ]


def test_a_receipt_names_what_is_about_to_be_removed(yard: Yard) -> None:
    yard.put_table(1, name_attempt(1, 1))

    class Refusing(MemoryObjects):
        def remove(self, ref: str) -> None:
            raise OSError(f"no answer for {ref}")

    with pytest.raises(OSError, match="no answer"):
        yard.gc(store=Refusing(yard.store.bodies, yard.store.written))
    ((ref, body),) = [(ref, body) for ref, body in yard.store.bodies.items() if "/ofs/gc/" in ref]
    document = json.loads(body)
    assert contracts.find_faults(document, "ofs.gc_receipt.v1") == []
    assert [one["objects"] for one in document["orphans"]] == [2]
    answer = yard.gc()
    assert [one for one in answer["receipts"] if one == ref] == []
    assert (len(answer["receipts"]), yard.list_standing()) == (1, set())
    assert yard.gc()["receipts"] == [], "nothing to remove, nothing to say"


def test_an_answer_is_bounded_and_says_how_many_there_are(yard: Yard) -> None:
    count = gc.MOST_TOLD + 5
    for number in range(count):
        yard.put(f"{HOME}/files/{digest(number)}.parquet")
    answer = yard.gc(removes=False)
    assert (len(answer["orphans"]), answer["found"]["orphans"]) == (gc.MOST_TOLD, count)
    applied = yard.gc()
    assert (len(applied["receipts"]), applied["removed"]["objects"], yard.list_standing()) == (2, count, set())


def test_a_full_address_is_a_reference_too(yard: Yard) -> None:
    attempt = name_attempt(1, 1)
    document = manifest(1, attempt, digest(1), digest(7))
    document["materialization"]["path"] = f"s3://bucket/prefix/{document['materialization']['path']}"
    yard.put_json(f"{HOME}/manifests/{document['dataset_manifest_id']}.json", document)
    yard.put_table(1, attempt)
    assert yard.gc()["kept"] == {"referenced": 1}


def test_the_ledger_is_needed(yard: Yard) -> None:
    class Broken(MemoryLedger):
        def list_runs(self, most: int | None = None) -> list[Run]:
            raise Refusal("ENVIRONMENT_UNFIT", f"the ledger is gone {most}")

    yard.put_table(1, name_attempt(1, 1))
    yard.ledger = Broken()
    with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT"):
        yard.gc()
    assert len(yard.list_standing()) == 2


def scatter(yard: Yard, random: Random) -> tuple[set[str], set[str]]:
    """A random platform run: (what must stay, what must go), reckoned while it is made."""
    grace, stay, go = yard.grace / HOUR_US, set[str](), set[str]()
    live = {token for token in range(1, 5) if random.random() < 0.2}
    for token in range(1, 5):
        yard.run(token, random.uniform(0.1, 3) if token in live else -random.uniform(2, 50))
    plans = [digest(1_000 + n) for n in range(4)]
    published_plans: set[str] = set()

    def put(refs: list[str], must_stay: bool, hours: float) -> None:
        for ref in refs:
            yard.put(ref, hours)
        (stay if must_stay or hours <= grace else go).update(refs)

    for dataset in range(random.randrange(6)):
        attempts = [name_attempt(random.randrange(1, 5), 100 * dataset + n) for n in range(random.randrange(1, 4))]
        winner = random.choice([*attempts, None])
        prepared = random.choice([None, None, *attempts])
        for number, attempt in enumerate(attempts):
            files, hours = digest(100 * dataset + number), random.choice([1.0, grace - 0.01, grace + 0.01, 500.0])
            plan = random.choice(plans)
            is_named = attempt in (winner, prepared)
            if attempt == winner:
                yard.publish(dataset, attempt, files, plan)
                published_plans.add(plan)
            if attempt == prepared:
                body = prepare(dataset, attempt, files, plan)
                ref = yard.put_json(f"{HOME}/publish_pending/{dataset:032x}.json", body, hours)
                must_go = winner is not None and not live and hours > grace
                (go if must_go else stay).add(ref)
            token = int(attempt.split("-")[1])
            table = f"{HOME}/datasets/dm_{dataset:032x}/{attempt}"
            put([f"{table}/{n}.parquet" for n in range(random.randrange(1, 4))], is_named or token in live, hours)
            put([f"{HOME}/files/{files}.parquet"], is_named or bool(live), hours)
    for plan in plans:
        hours = random.choice([1.0, grace + 1, UNPUBLISHED_GRACES * grace + 1])
        is_early = plan not in published_plans and hours < UNPUBLISHED_GRACES * grace
        put([f"{HOME}/staging/{plan}/{n}.arrow" for n in range(2)], bool(live) or is_early, hours)
    stay |= {ref for ref in yard.store.bodies if "/manifests/" in ref}
    return stay, go


def test_a_gc_removes_exactly_what_an_independent_reckoning_says(context: RunContext) -> None:
    removed = kept = 0
    for seed in range(400):
        yard = Yard(context)
        stay, go = scatter(yard, Random(seed))
        assert stay | go == yard.list_standing(), seed
        yard.gc()
        assert yard.list_standing() == stay, seed
        removed, kept = removed + len(go), kept + len(stay)
    assert removed > 1_000
    assert kept > 1_000


def test_a_folder_is_cleared_as_memory_is(yard: Yard, tmp_path: Path) -> None:
    import os

    store = LocalObjects.at(tmp_path)
    kept = {*yard.put_table(1, name_attempt(1, 1)), yard.publish(1, name_attempt(1, 1), digest(1), digest(7))}
    yard.put_table(2, name_attempt(1, 2))
    for ref, body in yard.store.bodies.items():
        store.put_if_absent(ref, body)
        os.utime(tmp_path / ref, (0, 0))
    answer = yard.gc(store=store)
    assert answer["removed"]["objects"] == 2
    assert kept < {one.ref for one in store.list_objects(HOME)}
    assert not (tmp_path / HOME / "datasets" / f"dm_{2:032x}").exists(), "no empty folder is left"
