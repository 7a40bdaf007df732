"""The platform run's document and its roll: sums of every run, however few are listed, whatever was lost, and in no time."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ofs_spark.foundation.canonical import encode_canonical
from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.refs import name_contribution, name_reconciliation, name_roll
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Limits, Run, State
from ofs_spark.io.ledger.memory import MemoryLedger
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.signals import reconciliation, write
from ofs_spark.signals.roll import Roll, decode_roll
from tests.invariants.told import _count as count_entries
from tests.worlds.model import RUN

TOTAL, ROLL = name_reconciliation(RUN), name_roll(RUN)
LISTED = 5
COUNTS = ("delivered", "redeliveries", "conflicts", "invalid")


def make_entry(number: int, attempt: int = 1, outcome: str = "COMMITTED") -> dict[str, Any]:
    """A run's entry; runs of one number modulo 7 share a dataset."""
    dataset = {
        "plan_id": f"{number % 7:064x}",
        "dataset_manifest_id": f"dm_{number % 7 + 1:032x}",
        "counts": {name: 10 * (number % 7) + place for place, name in enumerate(COUNTS)},
        "refs": {"manifest": f"{RUN}/ofs/manifests/dm_{number % 7 + 1:032x}.json"},
    }
    refs = {"attempted": number % 3 + 1, "resolved": number % 3, "denied": 1}
    entry = {"run_key": f"{hash_number(number):032x}", "attempt": attempt, "outcome": outcome, "exit_status": 0}
    entry |= {"protected_refs": refs}
    return entry | (dataset if outcome in ("COMMITTED", "ALREADY_PUBLISHED") else {"code": "A_CODE"})


def hash_number(number: int) -> int:
    """A number whose order is another one than that of registration."""
    return number * 0x9E3779B97F4A7C15 % 2**64


@dataclass
class Counted(MemoryObjects):
    """Objects that count what is read, and call `before` ahead of each write."""

    reads: list[int] = field(default_factory=list)
    before: Callable[[str], None] = lambda _ref: None

    def read(self, ref: str, most: int = 1 << 40) -> bytes:
        body = super().read(ref, most)
        self.reads.append(len(body))
        return body

    def replace(self, ref: str, body: bytes) -> None:
        self.before(ref)
        super().replace(ref, body)


@dataclass
class Place:
    """A ledger and an object root of one platform run."""

    objects: Counted = field(default_factory=Counted)
    control: RunControl = field(default_factory=lambda: RunControl(MemoryLedger(), FixedClock(), "one", Limits()))

    def end(self, entry: dict[str, Any]) -> None:
        """The ledger says that the run ended."""
        ledger = self.control.ledger
        assert isinstance(ledger, MemoryLedger)
        request = f"request.{entry['run_key']}"
        run = Run(entry["run_key"], request, "i", State.DONE, token=entry["attempt"], platform_run_id=RUN)
        ledger.held[run.run_key] = run

    def tell(self, entry: dict[str, Any]) -> None:
        self.end(entry)
        writer = write.SignalWriter(self.objects, lambda _room, said: pytest.fail(said))
        write._reconcile(writer, self.control, RUN, entry)

    def contribute(self, entry: dict[str, Any]) -> None:
        """All that a driver wrote that was killed before it came to the roll."""
        self.end(entry)
        document = reconciliation.reconcile(RUN, Roll.of([entry]), [entry])
        self.objects.bodies[name_contribution(RUN, entry["run_key"])] = encode_canonical(document)

    @property
    def total(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.objects.bodies[TOTAL])
        require_valid(document, "ofs.reconciliation.v1")
        return document


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(reconciliation, "LISTED", LISTED)
        yield


def require_sums(document: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    assert document["counters"] == count_entries(entries)
    for name in ("attempted", "resolved", "denied"):
        assert document["protected_refs"][name] == sum(one["protected_refs"][name] for one in entries)


@pytest.fixture
def place() -> Place:
    made = Place()
    for number in range(12):
        made.tell(make_entry(number, outcome="REFUSED" if number in (2, 9) else "COMMITTED"))
    return made


ENTRIES = [make_entry(number, outcome="REFUSED" if number in (2, 9) else "COMMITTED") for number in range(12)]


def test_the_document_lists_the_newest_runs_and_counts_all(place: Place) -> None:
    document = place.total
    require_sums(document, ENTRIES)
    assert document["runs"] == sorted(ENTRIES[-LISTED:], key=lambda one: str(one["run_key"]))
    refused = sorted(ENTRIES[number]["run_key"] for number in (2, 9))
    assert (document["health"], document["reasons"]) == ("AMBER", [f"run {key}: A_CODE" for key in refused])


@pytest.mark.parametrize("number", [0, 2, 9, 11])
def test_a_later_attempt_replaces_what_was_told_of_the_run(number: int, place: Place) -> None:
    mended = make_entry(number, attempt=2)
    place.tell(mended)
    entries = [*ENTRIES[:number], mended, *ENTRIES[number + 1 :]]
    require_sums(place.total, entries)
    assert (mended in place.total["runs"]) is (number >= 12 - LISTED)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "missing": lambda _: b"",
    "cut": lambda body: body[:-1],
    "longer": lambda body: body + b"\0",
    "bit": lambda body: bytes([body[0] ^ 1]) + body[1:],
    "other": lambda _: b"{}",
    "list": lambda _: b"[]\n",
    "none": lambda body: b"\n" + body,
    "earlier": lambda _: Roll.of(ENTRIES[:4]).encode(),
}


@pytest.mark.parametrize("refs", [(ROLL,), (TOTAL,), (ROLL, TOTAL)], ids=["roll", "document", "both"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_lost_is_made_again(refs: tuple[str, ...], damage: str, place: Place) -> None:
    for ref in refs:
        body = DAMAGE[damage](place.objects.bodies.pop(ref))
        place.objects.bodies |= {ref: body} if body else {}
    place.tell(make_entry(12))
    require_sums(place.total, [*ENTRIES, make_entry(12)])
    newest = [*ENTRIES, make_entry(12)][-LISTED:]
    assert place.total["runs"] == sorted(newest, key=lambda one: str(one["run_key"]))


def test_a_roll_of_any_one_spoiled_byte_is_none() -> None:
    whole = Roll.of(ENTRIES[:3]).encode()
    found = decode_roll(whole)
    assert found is not None
    assert (found, found.encode()) == (Roll.of(ENTRIES[:3]), whole)
    other = whole.partition(b"\n")[2].replace(b"roll.v1", b"roll.v2").replace(b'"little"', b'"big"')
    assert decode_roll(hashlib.sha256(other).hexdigest().encode() + b"\n" + other) is None
    spoiled = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    assert [decode_roll(one) for one in (*spoiled, b"", b"\n", b"[]\n", b"{}\n", b"null\n")] == [None] * (
        len(whole) + 5
    )


def test_the_next_run_tells_of_one_whose_driver_died(place: Place) -> None:
    place.contribute(make_entry(12))
    place.tell(make_entry(13))
    require_sums(place.total, [*ENTRIES, make_entry(12), make_entry(13)])


@pytest.mark.parametrize("at", [ROLL, TOTAL])
def test_a_driver_that_is_overtaken_leaves_nothing_out(at: str, place: Place) -> None:
    """Another driver tells of a run right before this one writes what it made of what stood before."""

    def overtake(ref: str) -> None:
        if ref == at:
            place.objects.before = lambda _ref: None
            place.tell(make_entry(13))

    place.objects.before = overtake
    place.tell(make_entry(12))
    require_sums(place.total, [*ENTRIES, make_entry(12), make_entry(13)])
    found = decode_roll(place.objects.bodies[ROLL])
    assert found is not None
    assert len(found.places) == 14


@pytest.mark.parametrize("has_attempts", [True, False])
def test_a_document_of_an_earlier_release_is_taken_over(has_attempts: bool, place: Place) -> None:
    """It lists every run, and no roll stands beside it. Runs without an attempt, and of another ledger, are kept."""
    stranger = make_entry(99)
    entries = [*ENTRIES, stranger]
    told = entries if has_attempts else [{k: v for k, v in one.items() if k != "attempt"} for one in entries]
    document = reconciliation.reconcile(RUN, Roll.of(told), told)
    place.objects.bodies = {TOTAL: encode_canonical(document)}
    place.tell(make_entry(12))
    require_sums(place.total, [*entries, make_entry(12)])
    listed = {one["run_key"] for one in place.total["runs"]}
    assert listed == {one["run_key"] for one in [*ENTRIES, make_entry(12)][-LISTED:]}


def test_an_absurd_count_keeps_no_other_run_from_being_told(place: Place) -> None:
    absurd = make_entry(12)
    absurd = {
        **absurd,
        "protected_refs": dict.fromkeys(absurd["protected_refs"], 2**70),
        "counts": {"delivered": 2**70},
    }
    place.contribute(absurd)
    place.tell(make_entry(13))
    assert place.total["counters"]["build_requested"] == 14


def test_telling_twice_writes_nothing(place: Place) -> None:
    place.objects.before = lambda ref: pytest.fail(ref) if ref in (ROLL, TOTAL) else None
    place.tell(ENTRIES[3])
    place.tell(ENTRIES[11])


def test_sums_are_those_of_the_entries_whatever_was_told_in_whatever_order() -> None:
    random_ = random.Random(7)
    roll, entries = Roll(), dict[str, dict[str, Any]]()
    for _ in range(400):
        outcome = random_.choice(["COMMITTED", "ALREADY_PUBLISHED", "REFUSED", "FAILED", "PUBLISH_PENDING"])
        entry = make_entry(random_.randrange(60), random_.randrange(1, 9), outcome)
        roll.tell([entry])
        entries[entry["run_key"]] = entry
        require_sums(reconciliation.reconcile(RUN, roll, []), [*entries.values()])


def test_what_a_run_reads_is_a_hundred_bytes_for_each_earlier_one() -> None:
    """Two looks, each at roll and document: the number of reads is that of a first run, and no contribution is read."""
    spent = {}
    for count in (100, 10_000):
        entries = [make_entry(number) for number in range(count)]
        place = Place()
        for entry in entries:
            place.end(entry)
        document = reconciliation.reconcile(RUN, Roll.of(entries), entries[-LISTED:])
        place.objects.bodies = {ROLL: Roll.of(entries).encode(), TOTAL: encode_canonical(document)}
        place.tell(make_entry(count))
        require_sums(place.total, [*entries, make_entry(count)])
        spent[count] = place.objects.reads
    assert [len(reads) for reads in spent.values()] == [4, 4]
    assert sum(spent[10_000]) - sum(spent[100]) < 2 * 100 * (10_000 - 100)
