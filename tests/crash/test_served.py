"""A build on S3 and Postgres that is killed before any effect, or whose n-th request or message goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ofs_spark.foundation.ends import find_owner
from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects import s3_client
from tests.crash.drill import Kill, Killed, Watcher, expected_digest, require_whole
from tests.crash.served import ServedDrill, Servers, serve_drill
from tests.crash.test_kills import find_places
from tests.servers.cut import Cut, Side
from tests.servers.fault_proxy import KINDS

HTTP = sorted(KINDS)
SHARES = 8
"""Of the cuts: each is a test of its own, as any share of them may be run again."""
ASKED_S = 3.0
"""How long an answer is waited for here."""


@pytest.fixture(autouse=True)
def _impatient(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  # made in peace
    monkeypatch.setattr(s3_client, "READ_S", ASKED_S)


def judge(drill: ServedDrill, ended: Any, what: str) -> str:
    """How a disturbed driver ended, which is told right; the next one ends with the dataset."""
    if isinstance(ended, dict):
        assert ended["content_digest"] == expected_digest(), what
    else:
        owner = find_owner(ended)
        assert owner is not None, f"{what}: {ended!r}"
        assert "IMMUTABILITY" not in owner.code, f"{what}: {ended}"
        assert owner.code != "MANIFEST_ABSENT", f"{what}: {ended}"
    assert drill.find_violations(settled=False) == [], what
    require_whole(drill, what)
    return "published" if isinstance(ended, dict) else ended.code if isinstance(ended, Refusal) else "unanswered"


def test_a_kill_before_every_write(servers: Servers) -> None:
    with serve_drill(servers) as drill:
        whole = Watcher()
        ended = drill.drive(whole)
        assert isinstance(ended, dict), ended
        require_whole(drill, "nobody is killed")
    for at in find_places(whole.seen):
        with serve_drill(servers) as drill:
            what = f"killed before effect {at}"
            ended = drill.drive(Kill(at))
            assert isinstance(ended, Killed | dict), f"{what}: {ended!r}"
            assert drill.find_violations(settled=False) == [], what
            require_whole(drill, what)


def count_requests(servers: Servers) -> int:
    with serve_drill(servers) as drill:
        before = drill.web.count()
        drill.drive(Watcher())
        return drill.web.count() - before


def count_messages(servers: Servers) -> dict[Side, int]:
    with serve_drill(servers) as drill:
        drill.net.arm(None)
        drill.drive(Watcher())
        return drill.net.counts


def fail_request(servers: Servers, kind: str, number: int) -> str:
    with serve_drill(servers) as drill:
        drill.web.fail(kind, n=number)
        return judge(drill, drill.drive(Watcher()), f"request {number}: {kind}")


def cut_message(servers: Servers, cut: Cut) -> str:
    with serve_drill(servers) as drill:
        drill.net.arm(cut)
        return judge(drill, drill.drive(Watcher()), str(cut))


def spread(cases: Sequence[Any], most: int) -> Iterator[Any]:
    """About so many of the cases, one in so many, and the last."""
    step = max(1, len(cases) // most)
    yield from cases[::step]
    yield cases[-1]


def list_requests(servers: Servers) -> list[tuple[str, int]]:
    """Every fault of every request: neighbours differ in both, so that every so many of them are of all kinds."""
    numbers = range(1, count_requests(servers) + 1)
    return [
        (HTTP[(place + turn) % len(HTTP)], number) for turn in range(len(HTTP)) for place, number in enumerate(numbers)
    ]


def list_cuts(servers: Servers) -> list[Cut]:
    sides = count_messages(servers).items()
    return [
        Cut(side, number, when) for side, most in sides for number in range(1, most + 1) for when in ("before", "after")
    ]


def test_some_requests_in_some_ways(servers: Servers) -> None:
    ends = Counter(fail_request(servers, *case) for case in spread(list_requests(servers), 14))
    assert ends["published"] > 3, ends
    assert ends.total() - ends["published"] > 2, ends


def test_some_messages_that_are_cut(servers: Servers) -> None:
    ends = Counter(cut_message(servers, cut) for cut in spread(list_cuts(servers), 12))
    assert set(ends) <= {"published", "ENVIRONMENT_UNFIT", "LEASE_LOST"}, ends
    assert ends["published"] > 2, ends


@pytest.mark.nightly
@pytest.mark.parametrize("kind", HTTP)
def test_every_request_in_every_way(kind: str, servers: Servers) -> None:
    numbers = range(1, count_requests(servers) + 1)
    ends = Counter(fail_request(servers, kind, number) for number in numbers)
    assert ends["published"] > 10, ends


@pytest.mark.nightly
@pytest.mark.parametrize("share", range(SHARES))
def test_every_message_that_is_cut(share: int, servers: Servers) -> None:
    ends = Counter(cut_message(servers, cut) for cut in list_cuts(servers)[share::SHARES])
    assert set(ends) <= {"published", "ENVIRONMENT_UNFIT", "LEASE_LOST"}, ends
