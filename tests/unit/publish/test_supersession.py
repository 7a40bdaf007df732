"""A link has one owner: reserved, completed, replaced by whoever compares and swaps first, and never taken from the living."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.clock import FixedClock
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import Put
from ofs_spark.foundation.refs import name_manifest, name_supersession
from ofs_spark.intent.control import RunControl
from ofs_spark.intent.run import Limits, Run, State
from ofs_spark.io.ledger.memory import MemoryLedger
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.io.objects.memory import MemoryObjects
from ofs_spark.publish.links import compose_links, find_successor, walk_ancestors, walk_successors
from ofs_spark.publish.supersession import complete_links, reserve_links
from tests.worlds.model import RUN, canon

OLD = "dm_" + "0" * 32
REF = name_supersession(RUN, OLD)
NAMED = {"ref": "x", "sha256": "cd" * 32}
START = datetime(2026, 6, 1, tzinfo=UTC)
Store = MemoryObjects | LocalObjects


def dataset(number: int) -> str:
    return f"dm_{number:032x}"


def manifest(number: int, **members: Any) -> dict[str, Any]:
    """As much of a manifest as a link needs; its run is the number's."""
    return {
        "platform_run_id": RUN,
        "dataset_manifest_id": dataset(number),
        "plan_id": f"{number:064x}",
        "supersedes": [OLD],
        "backfill": {"reason_code": "LATE"},
        "materialization": {"attempt": "attempt-1-0123456789ab"},
        "evidence": {"resolved_build_plan": {"ref": f"{RUN}/ofs/resolved_build_plan/{number:032x}.json"}},
        **members,
    }


@dataclass
class House:
    """A store, and a ledger whose drivers in `gone` are known to be gone."""

    objects: Any
    control: RunControl

    def start(self, number: int, owner: str = "one") -> Run:
        """The number's run, held."""
        driver = replace(self.control, owner=owner)
        return driver.claim(driver.open(f"{number:032x}", f"request.{number}", f"{number:064x}", RUN))

    def reserve(self, number: int, **members: Any) -> str:
        """Reserves for the number's dataset: "" or the code of the refusal."""
        try:
            reserve_links(manifest(number, **members), self.objects, self.control)
        except Refusal as refusal:
            return refusal.code
        return ""

    def publish(self, number: int) -> None:
        self.objects.put_if_absent(name_manifest(RUN, dataset(number)), canon(manifest(number)))

    @property
    def link(self) -> dict[str, Any]:
        return dict(json.loads(self.objects.read(REF, 1 << 20)))


@pytest.fixture(params=["folder", "memory"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    objects: Store = LocalObjects.at(tmp_path / "root") if request.param == "folder" else MemoryObjects()
    control = RunControl(MemoryLedger(), FixedClock(START), "me", Limits(), is_gone=lambda owner: owner == "dead")
    return House(objects, control)


def test_a_reservation_is_one_runs_until_it_is_gone(house: House) -> None:
    house.start(1)
    assert house.reserve(1) == ""
    assert house.reserve(1) == ""
    assert (house.reserve(2), house.link["successor"]) == ("SUPERSESSION_LINK_INVALID", dataset(1))


def end(house: House, state: State) -> None:
    held = house.start(1)
    house.control.end(held, state, "X", {"outcome": "REFUSED", "code": "LEASE_LOST"})


GONE: dict[str, Callable[[House], object]] = {
    "killed": lambda house: house.start(1, "dead"),
    "failed": lambda house: end(house, State.FAILED),
    "pending": lambda house: end(house, State.PUBLISH_PENDING),
    "of no run": lambda _house: None,
}


@pytest.mark.parametrize("how", GONE)
def test_a_reservation_that_came_to_nothing_is_replaced(how: str, house: House) -> None:
    GONE[how](house)
    assert house.reserve(1) == ""
    assert (house.reserve(2), house.link["successor"]) == ("", dataset(2))


@pytest.mark.parametrize("how", GONE)
def test_a_reservation_whose_manifest_stands_is_never_replaced(how: str, house: House) -> None:
    GONE[how](house)
    assert house.reserve(1) == ""
    house.publish(1)
    before = house.objects.read(REF, 1 << 20)
    assert house.reserve(2) == "SUPERSESSION_LINK_INVALID"
    with pytest.raises(Refusal):
        complete_links(manifest(2), NAMED, house.objects, house.control)
    assert house.objects.read(REF, 1 << 20) == before


def test_a_lease_that_ran_out_protects_nothing(house: House) -> None:
    house.start(1)
    house.reserve(1)
    later = FixedClock(START + timedelta(seconds=Limits().lease_s))
    assert house.control.is_live(f"{1:032x}")
    house.control = replace(house.control, clock=later)
    assert not house.control.is_live(f"{1:032x}")
    assert (house.reserve(2), house.link["successor"]) == ("", dataset(2))


def test_a_link_is_completed_once_and_says_the_same(house: House) -> None:
    house.start(1)
    house.reserve(1, materialization={"attempt": "attempt-0-0123456789ab"})
    assert complete_links(manifest(1), NAMED, house.objects, house.control) == {REF: "WRITTEN"}
    assert complete_links(manifest(1), NAMED, house.objects, house.control) == {REF: "EXISTS"}
    (expected,) = compose_links(manifest(1), NAMED)
    assert house.link == expected
    assert house.reserve(1) == ""  # a later attempt leaves what is completed
    assert house.link == expected


def test_another_plan_of_the_same_dataset_leaves_the_word_to_the_manifest(house: House) -> None:
    house.start(1)
    house.reserve(1)
    assert house.reserve(1, plan_id="ab" * 32) == ""


def test_32_that_replace_a_dead_reservation_have_one_winner(house: House) -> None:
    house.start(1, "dead")
    house.reserve(1)
    for number in range(2, 34):
        house.start(number)
    with ThreadPoolExecutor(32) as pool:
        ends = list(pool.map(house.reserve, range(2, 34)))
    assert sorted(ends) == ["", *["SUPERSESSION_LINK_INVALID"] * 31]
    assert house.link["successor"] == dataset(2 + ends.index(""))


class Silent(MemoryObjects):
    """A store whose next put has no answer: it landed, or it did not."""

    lands = True

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        if self.lands:
            super().put_if_absent(ref, body)
        raise OSError(errno.EIO, "no answer")


@pytest.mark.parametrize("lands", [True, False])
def test_a_put_without_an_answer_is_looked_for(lands: bool, house: House) -> None:
    silent = Silent()
    silent.lands = lands
    house.objects = silent
    house.start(1)
    if lands:
        assert house.reserve(1) == ""
        return
    with pytest.raises(OSError, match="no answer"):
        house.reserve(1)


class Torn(MemoryObjects):
    """A store that gives half an object once."""

    reads = 0

    def read(self, ref: str, most: int = 1 << 30) -> bytes:
        self.reads += 1
        body = super().read(ref, most)
        return body[: len(body) // 2] if self.reads == 1 else body


def test_half_a_link_is_read_again(house: House) -> None:
    house.start(1)
    (link,) = compose_links(manifest(1))
    house.objects = Torn({REF: canon(link)})
    assert house.reserve(1) == ""
    house.objects = Torn({REF: canon(link)})
    assert house.reserve(2) == "SUPERSESSION_LINK_INVALID"


class Contended(MemoryObjects):
    """A store where somebody else swaps first, every time."""

    def swap(self, *_arguments: Any) -> bool:
        return False


def test_a_link_that_others_change_all_the_time_is_given_up(house: House) -> None:
    house.objects = Contended()
    house.reserve(1)
    assert house.reserve(2) == "SUPERSESSION_LINK_INVALID"


def test_a_walk_ends_at_a_ring_at_what_does_not_stand_and_at_its_bound(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = house.objects
    for number in range(1, 40):
        one = manifest(number, supersedes=[dataset(number - 1)])
        objects.put_if_absent(name_manifest(RUN, dataset(number)), canon(one))
        (link,) = compose_links(one)
        objects.put_if_absent(name_supersession(RUN, dataset(number - 1)), canon(link))
    after = [link["successor"] for link in walk_successors(objects, RUN, dataset(0))]
    assert after == [dataset(number) for number in range(1, 40)]
    newest = manifest(39, supersedes=[dataset(38)])
    assert list(walk_ancestors(objects, newest)) == [dataset(number) for number in range(38, -1, -1)]
    monkeypatch.setattr("ofs_spark.publish.links.MOST_WALKED", 5)
    assert len(list(walk_successors(objects, RUN, dataset(0)))) == 5
    assert len(list(walk_ancestors(objects, newest))) == 5
    (ring,) = compose_links(manifest(1, supersedes=[dataset(2)]))
    objects.replace(name_supersession(RUN, dataset(2)), canon(ring))
    assert [link["successor"] for link in walk_successors(objects, RUN, dataset(1))] == [dataset(2)]
    objects.replace(name_supersession(RUN, dataset(1)), canon({**ring, "superseded": dataset(1), "successor": OLD}))
    assert list(walk_successors(objects, RUN, dataset(1))) == []  # OLD does not stand
    for odd in (["x/../y"], [dataset(1), dataset(2)], "text", [7], None):
        assert list(walk_ancestors(objects, manifest(9, supersedes=odd))) == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", canon({"schema_version": "ofs.supersession_link.v1"})], ids=range(4)
)
def test_what_is_no_link_names_no_successor_and_is_not_overwritten_by_a_reservation(body: bytes, house: House) -> None:
    house.objects.put_if_absent(REF, body)
    assert find_successor(house.objects, RUN, OLD) is None
    assert house.reserve(1) == "SUPERSESSION_LINK_INVALID"
    assert house.objects.read(REF, 1 << 20) == body
    assert complete_links(manifest(1), NAMED, house.objects, house.control) == {REF: "WRITTEN"}
