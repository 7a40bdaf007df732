"""`ofs validate INTENT` with a wiring tells what its command refuses before an engine starts: the same faults, in the same order.

The property is asked of every world of the refusal suites and of combinations of damage; the command is the witness.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.test_command import DAMAGES as BY_ROOM
from tests.integration.test_footers import reshape, without
from tests.integration.test_footers import spoil as spoil_footers
from tests.integration.test_refusals import CASES, FOUR
from tests.integration.test_validate import REFUSED_ALONE
from tests.spec.intents import DROP, edited
from tests.spec.tables import ALL
from tests.spec.tables.windows import world
from tests.spec.test_intent import PRECEDENCE
from tests.worlds.command import run_command
from tests.worlds.model import FACTS_REF, RUN, World, canon, slice_
from tests.worlds.sabotage import SABOTAGES, extract_part, remove, rewrite
from tests.worlds.snapshots import OnlineWorld, changed, write_online_world
from tests.worlds.writer import Layout, Written, write_world

Write = Callable[[Path], Written]
Damage = Callable[[Written], object]
TOLD = ("code", "pointer", "message", "ref", "file")


class PinsHeld(BaseException):
    """The command came so far that it loads what computes: nothing is left that it could refuse without data."""


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is computed: what loads the rooms, or an engine, ends the command."""

    def end(*_arguments: object) -> object:
        raise PinsHeld

    monkeypatch.setattr("ofs_spark.workflow.loading.load_build_rooms", end)
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", end)
    monkeypatch.delenv("OFS_WIRING", raising=False)


def of(made: World) -> Write:
    return lambda folder: write_world(made, folder)


def damaged(damage: Damage) -> Write:
    """A world of four segments and one label file, damaged."""

    def write(folder: Path) -> Written:
        written = write_world(world(FOUR), folder, Layout(rows_per_segment=1))
        damage(written)
        return written

    return write


def change_intent(**members: Any) -> Damage:
    def change(written: Written) -> None:
        written.intent.write_bytes(canon({**json.loads(written.intent.read_bytes()), **members}))

    return change


def edit_intent(*changes: tuple[str, Any]) -> Damage:
    def change(written: Written) -> None:
        document = json.loads(written.intent.read_bytes())
        for pointer, value in changes:
            document = edited(document, pointer, value)
        written.intent.write_bytes(canon(document))

    return change


def change_profile(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(written: Written) -> None:
        top = yaml.safe_load(written.profile.read_text())
        change(top)
        written.profile.write_text(yaml.safe_dump(top))

    return damage


BY_PLACE: Mapping[str, Any] = PRECEDENCE
WORLDS: dict[str, Write] = {
    **{f"refusals {name}": of(made) for name, (made, _) in CASES.items()},
    **{f"tables {name}": of(case.world) for name, case in ALL.items()},
    **{f"sabotage {name}": damaged(damage) for name, (damage, _) in SABOTAGES.items()},
    **{
        f"room {name}": damaged(damage)
        for name, (damage, _, _) in BY_ROOM.items()
        if name not in ("publish", "environment")
    },
    **{f"intent {name}": damaged(change_intent(**members)) for name, members in REFUSED_ALONE.items()},
    **{
        f"precedence {name}": damaged(edit_intent(*changes))
        for name, (changes, _, _) in BY_PLACE.items()
        if name != "two kinds"  # of an intent with two slices
    },
    "footers": damaged(spoil_footers),
}


ANCHOR = f"{RUN}/ofp/1.json"
ONLINE: Mapping[str, Callable[[OnlineWorld], object]] = {
    "nothing": lambda _w: None,
    "profile": lambda w: (w.folder / "profiles" / "core_features.yaml").write_text("a: [1"),
    "profile gone": lambda w: (w.folder / "profiles" / "core_features.yaml").unlink(),
    "facts": lambda w: (w.objects / FACTS_REF).unlink(),
    "index": lambda w: (w.objects / RUN / "archive" / "segment_index.json").write_text("{}"),
    "anchor": lambda w: w.put_anchor("1", b"[]"),
    "anchor gone": lambda w: (w.objects / ANCHOR).unlink(),
    "anchor of another run": lambda w: w.put_anchor(
        "1", changed(1, lambda one: one["pins"].update(platform_run_id="platform_20260101T000000Z"))
    ),
}


@pytest.mark.parametrize("command", ["parity", "forensic"])
@pytest.mark.parametrize("names", [*([name] for name in ONLINE), ["profile", "facts", "index", "anchor"]], ids="+".join)
def test_what_a_rebuild_refuses_before_it_reads_a_row_validate_tells(
    names: list[str], command: str, tmp_path: Path
) -> None:
    online = write_online_world(tmp_path)
    for name in names:
        ONLINE[name](online)
    intent = tmp_path / "intent.json"
    intent.write_bytes(online.ask(f"{command}_rebuild", "rebuild.0001", ANCHOR))
    line = ("--json", "--quiet", "--wiring", str(tmp_path / "wiring.yaml"))
    answer = json.loads(run_command(*line, "validate", str(intent)).stdout)
    assert answer["faults"] == list_faults(*line, command, str(intent))
    assert answer["valid"] is (names == ["nothing"])


def list_files(written: Written) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in written.wiring.parent.rglob("*") if path.is_file()}


def validate(written: Written) -> dict[str, Any]:
    """The answer of `ofs validate` for the world's intent, and that it wrote nothing."""
    before = list_files(written)
    told = run_command("--json", "--quiet", "--wiring", str(written.wiring), "validate", str(written.intent))
    assert list_files(written) == before
    answer: dict[str, Any] = json.loads(told.stdout)
    assert told.exit_code == (0 if answer["valid"] else 10)
    return answer


def list_refused(written: Written, command: str = "build", *arguments: str) -> list[dict[str, Any]]:
    """The faults that the command refuses before anything is computed, as `validate` tells them."""
    return list_faults("--json", "--quiet", "--wiring", str(written.wiring), command, str(written.intent), *arguments)


def list_faults(*line: str) -> list[dict[str, Any]]:
    """As `list_refused`, of a whole command line."""
    try:
        told = json.loads(run_command(*line).stdout.splitlines()[-1])
    except PinsHeld:
        return []
    assert told["outcome"] == "REFUSED", told
    own = {"code": told["code"], "pointer": told["details"].get("pointer", ""), "message": told["message"]}
    found = [{name: one[name] for name in TOLD if name in one} for one in told["details"].get("faults", [own])]
    return list({json.dumps(one): one for one in found}.values())


@pytest.mark.parametrize("name", WORLDS)
def test_what_a_build_refuses_before_it_reads_a_row_validate_tells(name: str, tmp_path: Path) -> None:
    written = WORLDS[name](tmp_path)
    answer = validate(written)
    assert answer["faults"] == list_refused(written)


PIECES: Mapping[str, Damage] = {
    "facts gone": lambda w: w.run_facts.unlink(),
    "facts no json": lambda w: w.run_facts.write_bytes(b"{"),
    "facts of another run": lambda w: rewrite(
        w.run_facts, lambda d: d.update(platform_run_id="platform_20250101T000000Z"), False
    ),
    "output denied": change_intent(
        join_scope={"label_types": ["fraud_disposition"], "required_output_ids": ["sealed"]}
    ),
    "profile gone": lambda w: w.profile.unlink(),
    "profile no yaml": lambda w: w.profile.write_text("a: [1"),
    "aggregate": change_profile(lambda top: top["feature_groups"][0]["features"][0].update(aggregate="median")),
    "profile digest": change_profile(lambda top: top.update(content_digest="0" * 64)),
    "set": change_intent(feature_definition_set={"feature_set_id": "world", "feature_set_version": "v9"}),
    "rule": change_intent(label_basis={"label_asof_utc": "2026-03-01T00:00:00Z", "resolution_rule": "mine"}),
    "index gone": lambda w: w.index.unlink(),
    "index stale": lambda w: rewrite(w.index, lambda d: d["segments"].pop(), False),
    "index shorter": lambda w: rewrite(w.index, lambda d: d["segments"].pop(), True),
    "beyond": change_intent(replay_basis=[slice_(0, 9), slice_(0, 3, partition=7)]),
    "types": change_intent(filters={"label_types": ["shoe_size"]}),
    "policy": change_intent(filters={"label_coverage_policy": {"max_conflict_ratio": 2}}),
    "extract gone": lambda w: remove(w.label_extract),
    "extract stale": lambda w: rewrite(w.label_extract, lambda d: d.update(marker="else"), False),
    "part gone": lambda w: remove(extract_part(w)),
    "part renamed": lambda w: reshape(extract_part(w), w.label_extract, "files", without("event_id")),
    "segment gone": lambda w: remove(w.segments[1]),
    "segment schema": lambda w: reshape(w.segments[2], w.index, "segments", without("envelope")),
    "marker": lambda w: rewrite(w.label_extract, lambda d: d.update(committed_up_to_utc="2026-02-11T00:00:00Z"), True),
    "training": change_intent(non_training_allowed=False),
    "filter": change_intent(filters={"country": []}),
    "request": change_intent(request_id="short"),
    "no as-of": edit_intent(("/label_basis/label_asof_utc", DROP)),
}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(list(PIECES)), unique=True, min_size=2, max_size=6))
def test_whatever_is_wrong_at_once_is_told_at_once(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    written = damaged(lambda _w: None)(tmp_path_factory.mktemp("world"))
    for name in names:
        try:
            PIECES[name](written)
        except (FileNotFoundError, ValueError, KeyError, yaml.YAMLError):
            continue  # an earlier damage left nothing of it
    answer = validate(written)
    assert answer["faults"] == list_refused(written)
