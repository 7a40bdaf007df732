"""A server that goes away in a room: a named failure, a command to run next, and that command works once it is back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from ofs_spark.foundation.commands import Caller
from ofs_spark.foundation.ends import describe_end, find_owner
from ofs_spark.io.objects import s3_client
from tests.crash.drill import Answer, Watcher, expected_digest, require_whole
from tests.crash.served import ServedDrill, Servers, serve_drill
from tests.servers.cut import Cut
from tests.worlds.command import run_command

ROOMS = {
    "before the claim": "ledger.claim",
    "pins": "input.read",
    "engine": "engine.start",
    "replay": "engine.scan",
    "features": "engine.load",
    "writing": "table_file.put",
    "publish": "table_log.commit",
    "before the commit": "manifest.put",
    "signals": "publication.put",
    "the end": "ledger.end",
}
"""Where a server goes away: before this effect."""
DAILY = ("pins", "replay", "before the commit", "signals")


@pytest.fixture(autouse=True)
def _impatient(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  # made in peace
    monkeypatch.setattr(s3_client, "READ_S", 10.0)
    monkeypatch.setattr(s3_client, "READ_ATTEMPTS", 1)
    monkeypatch.setattr(
        "ofs_spark.io.engines.choose_engine", lambda *_asked, **_named: pytest.fail("an engine of its own")
    )


class Lose(Watcher):
    """Lets a server go away before an effect."""

    def __init__(self, effect: str, lose: Callable[[], None]) -> None:
        super().__init__()
        self.effect, self.lose, self.lost = effect, lose, False

    def __call__(self, effect: str, call: Callable[[], Answer], /) -> Answer:
        self.seen.append(effect)
        if effect == self.effect and not self.lost:
            self.lost = True
            self.lose()
        return call()


def lose_bucket(drill: ServedDrill) -> None:
    drill.web.fail_all("cut")


def lose_database(drill: ServedDrill) -> None:
    drill.net.arm(Cut("client", 1, "before", lasting=True))


def give_back(drill: ServedDrill) -> None:
    drill.web.reset()
    drill.net.arm(None)


@pytest.mark.parametrize("lose", [lose_bucket, lose_database])
@pytest.mark.parametrize(
    "room", [pytest.param(one, marks=() if one in DAILY else pytest.mark.nightly) for one in ROOMS]
)
def test_a_server_that_goes_away(
    room: str, lose: Callable[[ServedDrill], None], servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ofs_spark.io.embedded_engine import EmbeddedEngine

    with serve_drill(servers) as drill:
        watcher = Lose(ROOMS[room], lambda: lose(drill))
        ended = drill.drive(watcher)
        assert watcher.lost, watcher.seen
        give_back(drill)
        if isinstance(ended, dict):  # the dataset stood by then, or the server is needed no more
            assert ended["content_digest"] == expected_digest()
        else:
            told = tell(drill, ended)
            assert told["outcome"] == "REFUSED", told
            monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
            monkeypatch.setattr("ofs_spark.io.context.is_gone", drill.is_gone)
            _, *arguments = shlex.split(told["next"])
            done = run_command(*arguments)
            assert done.exit_code == 0, done.stdout + done.stderr
            assert json.loads(done.stdout)["content_digest"] == expected_digest()
        assert drill.find_violations(settled=False) == [], room
        require_whole(drill, room)


def tell(drill: ServedDrill, ended: BaseException) -> dict[str, Any]:
    """What the command would answer."""
    assert find_owner(ended) is not None, ended
    where = ("ofs", "--json", "--quiet", "--wiring", str(drill.written.wiring))
    return describe_end(ended, Caller(where, (*where, "build", str(drill.written.intent)), str(drill.written.intent)))
