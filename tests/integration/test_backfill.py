"""`ofs backfill`: a dataset takes the place of a published one, once, and nothing of the old one changes."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.cli import submit_backfill
from ofs_spark.foundation.contracts import find_faults
from ofs_spark.foundation.refs import name_manifest, name_supersession
from ofs_spark.io.embedded_engine import EmbeddedEngine
from tests.acceptance.test_closure import TRAINING
from tests.invariants.check import find_violations
from tests.worlds.command import Result, run_command
from tests.worlds.model import RUN, canon
from tests.worlds.running import build
from tests.worlds.writer import Written, write_world

OTHER_RUN = "platform_20260101T000000Z"
NOWHERE = "dm_" + "0" * 32


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No JVM."""
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return write_world(TRAINING, tmp_path / "world")


def ofs(written: Written, *arguments: str) -> Result:
    return run_command("--wiring", str(written.wiring), "--json", "--quiet", *arguments)


def ask(written: Written, *arguments: str) -> dict[str, Any]:
    """The one object that a command answers, with its exit status."""
    result = ofs(written, *arguments)
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return {**answer, "exit": result.exit_code}


def backfill(written: Written, target: str, request: str = "backfill.1", *more: str) -> dict[str, Any]:
    named = ("--supersedes", target, "--reason", "LATE_LABELS", "--request-id", request)
    return ask(written, "backfill", str(written.intent), *named, *more)


def change(written: Written, **members: Any) -> None:
    document = json.loads(written.intent.read_bytes())
    written.intent.write_text(json.dumps({**document, **members}))


def read(written: Written, ref: str) -> Any:
    return json.loads((written.root / ref).read_bytes())


def link_of(written: Written, dataset: str) -> dict[str, Any]:
    link: dict[str, Any] = read(written, name_supersession(RUN, dataset))
    assert find_faults(link, "ofs.supersession_link.v1") == []
    return link


def facts(written: Written, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_bytes()) for path in (written.root / RUN / "ofs" / "governance").iterdir()]
    assert [one for fact in found for one in find_faults(fact, "ofs.governance_fact.v1")] == []
    return [fact for fact in found if fact["event_type"] == kind]


def snapshot(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def violations(written: Written) -> list[str]:
    return find_violations(written.root, written.root.parent / "ledger.sqlite")


def test_a_backfill_of_equal_content_is_a_dataset_of_its_own_and_touches_nothing_of_the_old(written: Written) -> None:
    old = build(written).published
    home = written.root / RUN / "ofs"
    kept = [home / "manifests", home / "datasets", home / "files", home / "publication", home / "index"]
    before = {name: one for folder in kept for name, one in snapshot(folder).items()}
    new = backfill(written, old["manifest_ref"])
    assert (new["exit"], new["outcome"], new["content_digest"]) == (0, "COMMITTED", old["content_digest"])
    assert find_faults({name: one for name, one in new.items() if name != "exit"}, "build_answer") == []
    assert new["dataset_manifest_id"] != old["dataset_manifest_id"]
    assert new["table_ref"] != old["table_ref"]
    after = {name: one for folder in kept for name, one in snapshot(folder).items()}
    assert {name: after[name] for name in before} == before
    manifest = read(written, new["manifest_ref"])
    assert (manifest["supersedes"], manifest["backfill"]) == (
        [old["dataset_manifest_id"]],
        {"reason_code": "LATE_LABELS"},
    )
    view = read(written, new["manifest_ref"].replace(".json", ".v0.json"))
    assert view["dataset_manifest_id"] == new["dataset_manifest_id"]
    assert violations(written) == []


def test_the_lifted_intent_is_the_request_and_its_evidence(written: Written) -> None:
    old = build(written).published["dataset_manifest_id"]
    new = backfill(written, old, "backfill.1", "--note", "chargebacks of May", "--requested-by", "labels team")
    evidence = read(written, new["manifest_ref"])["evidence"]["backfill_intent"]
    body = (written.root / evidence["ref"]).read_bytes()
    lifted = json.loads(body)
    assert hashlib.sha256(body).hexdigest() == evidence["sha256"]
    assert find_faults(lifted, "learning.ofs_build_intent.v1") == []
    given = json.loads(written.intent.read_bytes())
    assert {name: one for name, one in lifted.items() if given.get(name) != one} == {
        "schema_version": "learning.ofs_build_intent.v1",
        "intent_kind": "backfill_rebuild",
        "request_id": "backfill.1",
        "label_basis": {**given["label_basis"], "posture": "KNEW_THEN"},
        "supersedes": [old],
        "backfill": {
            "reason_code": "LATE_LABELS",
            "reason": "chargebacks of May",
            "requested_by": "labels team",
        },
    }
    receipt = read(written, f"{RUN}/ofs/run_receipts/{new['run_key']}.json")
    copy = written.intent.with_name("lifted.json")
    copy.write_bytes(body)
    ids = ask(written, "identity", str(copy))
    assert (ids["dataset_manifest_id"], ids["run_key"]) == (new["dataset_manifest_id"], new["run_key"])
    assert ids["intent_payload_hash"] == receipt["intent_payload_hash"]
    assert ask(written, "validate", str(copy))["valid"]
    again = ask(written, "backfill", str(copy))
    assert {**again, "exit": 0} == new
    built = ask(written, "build", str(copy))
    assert (built["code"], "ofs backfill" in built["message"]) == ("INTENT_KIND_UNSUPPORTED", True)


def test_a_request_stands_for_one_backfill(written: Written) -> None:
    old = build(written).published["dataset_manifest_id"]
    new = backfill(written, old)
    assert backfill(written, old) == new
    other = backfill(written, old, "backfill.1", "--note", "another one")
    assert (other["code"], other["exit"]) == ("REQUEST_ID_PAYLOAD_MISMATCH", 10)
    own = ask(written, "backfill", str(written.intent), "--supersedes", old, "--reason", "LATE_LABELS")
    assert own["code"] == "REQUEST_ID_PAYLOAD_MISMATCH"  # a backfill needs a request id of its own
    beside = backfill(written, old, "backfill.2", "--note", "told otherwise")
    assert (beside["outcome"], beside["manifest_ref"]) == ("ALREADY_PUBLISHED", new["manifest_ref"])
    assert len(facts(written, "BackfillDeclared")) == 2
    (completed,) = facts(written, "BackfillCompleted")
    assert (completed["supersedes"], completed["manifest"]["ref"]) == ([old], new["manifest_ref"])
    assert {fact["reason_code"] for fact in facts(written, "BackfillDeclared")} == {"LATE_LABELS"}
    assert violations(written) == []


Damage = Callable[[Written, dict[str, Any]], str]


def publish_elsewhere(written: Written, _old: dict[str, Any]) -> str:
    """A dataset of another platform run, in the same root."""
    target = f"{OTHER_RUN}/ofs/manifests/{NOWHERE}.json"
    (written.root / target).parent.mkdir(parents=True)
    (written.root / target).write_text("{}")
    return target


def forge(**members: Any) -> Damage:
    """Another manifest beside the old one, whose id is not what it says."""

    def damage(written: Written, old: dict[str, Any]) -> str:
        manifest = {**read(written, old["manifest_ref"]), "dataset_manifest_id": NOWHERE, **members}
        (written.root / name_manifest(RUN, NOWHERE)).write_text(json.dumps(manifest))
        return NOWHERE

    return damage


def spoil(written: Written, old: dict[str, Any]) -> str:
    (written.root / old["manifest_ref"]).write_text('{"schema_version": "learning.dataset_manifest.v1"}')
    return str(old["dataset_manifest_id"])


def remove(written: Written, old: dict[str, Any]) -> str:
    (written.root / old["manifest_ref"]).unlink()
    return str(old["dataset_manifest_id"])


def supersede(written: Written, old: dict[str, Any]) -> str:
    change(written, correction_stamp="first", schema_version="learning.ofs_build_intent.v1")
    assert backfill(written, old["dataset_manifest_id"], "the.first.one")["exit"] == 0
    change(written, correction_stamp="second")
    return str(old["dataset_manifest_id"])


OTHER_SET = {"feature_set_id": "another", "feature_set_version": "v1"}
TARGETS: dict[str, tuple[Damage, str]] = {
    "never published": (lambda _w, _o: NOWHERE, "no manifest stands"),
    "removed": (remove, "no manifest stands"),
    "no manifest": (spoil, "is required"),
    "manifest of another place": (forge(dataset_manifest_id="dm_" + "1" * 32), "no DatasetManifest of this place"),
    "another platform run": (publish_elsewhere, f"is of {OTHER_RUN}"),
    "another feature set": (forge(feature_definition_set=OTHER_SET), "another scope"),
    "superseded already": (supersede, "is superseded by"),
    "the v0 view": (lambda _w, old: str(old["manifest_ref"]).replace(".json", ".v0.json"), "no place of"),
    "a table": (lambda _w, old: str(old["table_ref"]), "no place of"),
    "no id": (lambda _w, _o: "newest", "the id of a dataset is required"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_that_cannot_be_superseded_is_refused(
    name: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage, said = TARGETS[name]
    target = damage(written, build(written).published)
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", None)  # told before the engine
    told = backfill(written, target)
    assert (told["code"], told["exit"]) == ("SUPERSESSION_LINK_INVALID", 60)
    assert said in told["message"]
    assert find_faults({name: one for name, one in told.items() if name != "exit"}, "refusal_answer") == []
    monkeypatch.setattr("ofs_spark.io.engines.Engines.find", lambda *_asked: EmbeddedEngine())
    ended = run_command(*shlex.split(told["next"])[1:])
    assert ended.exit_code != 2, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_successor_is_told_the_link_and_the_newest_of_the_chain(written: Written) -> None:
    chain = make_chain(written, 3)
    change(written, correction_stamp="late")
    told = backfill(written, chain[0], "late.backfill")
    assert told["details"]["link"] == name_supersession(RUN, chain[0])
    assert (told["details"]["newest"], told["details"]["ref"]) == (chain[-1], name_manifest(RUN, chain[-1]))
    assert told["next"].endswith(f"show {name_manifest(RUN, chain[-1])}")
    assert backfill(written, told["details"]["newest"], "late.backfill.2")["outcome"] == "COMMITTED"


def make_chain(written: Written, length: int) -> list[str]:
    """Ids of datasets, each superseding the one before it."""
    chain = [build(written).published["dataset_manifest_id"]]
    change(written, schema_version="learning.ofs_build_intent.v1")
    for number in range(1, length):
        answer = backfill(written, chain[-1], f"backfill.{number}")
        assert answer["exit"] == 0, answer
        chain.append(answer["dataset_manifest_id"])
    return chain


def test_a_chain_is_shown_from_every_end(written: Written) -> None:
    chain = make_chain(written, 4)
    for place, dataset in enumerate(chain):
        shown = ask(written, "show", dataset)
        roles = ["ancestor"] * place + ["self"] + ["successor"] * (3 - place)
        assert [(one["dataset_manifest_id"], one["role"]) for one in shown["chain"]] == list(
            zip(chain, roles, strict=True)
        )
        assert [one["manifest_ref"] for one in shown["chain"]] == [name_manifest(RUN, one) for one in chain]
        assert [one.get("reason_code") for one in shown["chain"]] == [None] + ["LATE_LABELS"] * 3
        manifest = {name: one for name, one in shown.items() if name not in ("chain", "exit")}
        assert manifest == read(written, name_manifest(RUN, dataset))
        told = run_command("--wiring", str(written.wiring), "show", dataset).stdout
        assert [one for one in chain if one in told] == chain
        assert f"{dataset}  this one" in told
        verified = ask(written, "verify", dataset)
        assert verified["verified"], [one for one in verified["checks"] if not one["ok"]]
        (successor,) = (one["found"] for one in verified["checks"] if one["name"] == "successor")
        assert successor == ("none" if place == 3 else f"superseded by {chain[place + 1]}: LATE_LABELS")
    assert violations(written) == []


def test_a_dataset_that_is_alone_is_shown_as_its_manifest(written: Written) -> None:
    old = build(written).published["manifest_ref"]
    assert ask(written, "show", old) == {**read(written, old), "exit": 0}


@pytest.mark.parametrize(
    ("members", "pointer", "code", "exit_status"),
    [
        ({"supersedes": ["dm_" + "2" * 32]}, "/supersedes", "SUPERSESSION_LINK_INVALID", 60),
        ({"supersedes": ["dm_" + "2" * 32, NOWHERE]}, "/supersedes", "SUPERSESSION_LINK_INVALID", 60),
        ({"supersedes": ["a/manifest.json"]}, "/supersedes/0", "SUPERSESSION_LINK_INVALID", 60),
        ({"backfill": {"reason_code": "ANOTHER"}}, "/backfill/reason_code", "SCHEMA_INVALID", 10),
        ({"backfill": {"reason_code": "late"}}, "/backfill/reason_code", "SCHEMA_INVALID", 10),
        ({"intent_kind": "plan_check"}, "/intent_kind", "INTENT_KIND_UNSUPPORTED", 10),
    ],
    ids=["another target", "two targets", "no id", "another reason", "no reason code", "another kind"],
)
def test_intent_and_options_must_agree(
    members: dict[str, Any], pointer: str, code: str, exit_status: int, written: Written
) -> None:
    change(written, schema_version="learning.ofs_build_intent.v1", **members)
    told = backfill(written, NOWHERE)
    assert (told["code"], told["details"]["pointer"], told["exit"]) == (code, pointer, exit_status)
    if pointer != "/intent_kind" and members != {"supersedes": ["dm_" + "2" * 32]}:
        change(written, intent_kind="backfill_rebuild")
        (fault,) = ask(written, "validate", str(written.intent))["faults"] or [{"pointer": pointer}]
        assert fault["pointer"] == pointer


@pytest.mark.parametrize("reason", ["late", "1LATE", "LATE-LABELS", "", "LATE\nLABELS"])
def test_a_reason_is_a_code(reason: str, written: Written) -> None:
    named = ("--supersedes", NOWHERE, f"--reason={reason}")
    told = ask(written, "backfill", str(written.intent), *named)
    assert (told["code"], told["details"]["pointer"]) == ("SCHEMA_INVALID", "/backfill/reason_code")


def test_what_neither_intent_nor_options_say_is_wrong_use(written: Written) -> None:
    named = ("--supersedes", NOWHERE), ("--reason", "LATE")
    assert [ofs(written, "backfill", str(written.intent), *one).exit_code for one in named] == [2, 2]


def test_other_pins_of_a_published_dataset_lead_to_a_backfill(written: Written) -> None:
    old = build(written).published
    facts_view = json.loads(written.run_facts.read_bytes())
    written.run_facts.write_text(json.dumps({**facts_view, "bundle_hash": "another"}))
    change(written, request_id="another.request")
    told = ask(written, "build", str(written.intent))
    assert (told["code"], told["details"]["differing"]) == ("MANIFEST_IMMUTABILITY_VIOLATION", ["run_facts_digest"])
    assert " backfill " in told["next"]
    command = shlex.split(told["next"])[1:]
    ended = run_command("--json", "--quiet", *command)
    new = json.loads(ended.stdout)
    assert (ended.exit_code, new["outcome"]) == (0, "COMMITTED"), new
    assert link_of(written, old["dataset_manifest_id"])["successor"] == new["dataset_manifest_id"]
    assert json.loads(run_command("--json", "--quiet", *command).stdout) == new


def lifted_intent(written: Written) -> Path:
    (path,) = (written.root / RUN / "ofs" / "backfill_intent").iterdir()
    return path


def link_file(written: Written) -> Path:
    (path,) = (written.root / RUN / "ofs" / "supersession").iterdir()
    return path


def completed_fact(written: Written) -> Path:
    (fact,) = facts(written, "BackfillCompleted")
    return written.root / RUN / "ofs" / "governance" / f"{fact['event_id']}.json"


def edit(find: Callable[[Written], Path], **members: Any) -> Callable[[Written], object]:
    def damage(written: Written) -> None:
        path = find(written)
        path.write_bytes(canon({**json.loads(path.read_bytes()), **members}))

    return damage


INTENT_CHECKS = {"evidence backfill_intent", "backfill intent"}
SPOILED: dict[str, tuple[Callable[[Written], object], set[str]]] = {
    "link of another run": (edit(link_file, run_key="0" * 32), {"supersession link"}),
    "link gone": (lambda w: link_file(w).unlink(), {"supersession link"}),
    "link still reserved": (edit(link_file, state="RESERVED"), {"supersession link"}),
    "fact gone": (lambda w: completed_fact(w).unlink(), {"backfill fact"}),
    "lifted intent gone": (lambda w: lifted_intent(w).unlink(), INTENT_CHECKS),
    "another target": (edit(lifted_intent, supersedes=[NOWHERE]), INTENT_CHECKS),
    "another reason": (edit(lifted_intent, backfill={"reason_code": "MINE"}), INTENT_CHECKS),
    "another request": (edit(lifted_intent, request_id="another.request"), INTENT_CHECKS),
    "another stamp": (edit(lifted_intent, correction_stamp="mine"), INTENT_CHECKS),
}


@pytest.mark.parametrize("name", SPOILED)
def test_verify_names_what_is_wrong_of_a_backfill(name: str, written: Written) -> None:
    old = build(written).published["dataset_manifest_id"]
    new = backfill(written, old)
    damage, expected = SPOILED[name]
    damage(written)
    checks = ask(written, "verify", new["manifest_ref"])["checks"]
    assert {check["name"] for check in checks if not check["ok"]} == expected
    assert ask(written, "verify", old)["verified"]
    assert backfill(written, old) == new
    mended = ask(written, "verify", new["manifest_ref"])
    assert (mended["verified"], mended["exit"]) == ((True, 0) if expected != INTENT_CHECKS else (False, 60))


def test_a_chain_that_others_forged_ends(written: Written) -> None:
    """A ring of manifests and links, and a link that names what does not stand."""
    chain = make_chain(written, 2)
    first = read(written, name_manifest(RUN, chain[0]))
    ring = {**first, "supersedes": [chain[1]], "backfill": {"reason_code": "RING"}}
    (written.root / name_manifest(RUN, chain[0])).write_bytes(canon(ring))
    back = {**link_of(written, chain[0]), "superseded": chain[1], "successor": chain[0]}
    (written.root / name_supersession(RUN, chain[1])).write_bytes(canon(back))
    for dataset in chain:
        shown = [(one["dataset_manifest_id"], one["role"]) for one in ask(written, "show", dataset)["chain"]]
        other = chain[1 - chain.index(dataset)]
        assert shown == [(other, "ancestor"), (dataset, "self"), (other, "successor")]
    (written.root / name_supersession(RUN, chain[1])).write_bytes(canon({**back, "successor": NOWHERE}))
    (written.root / name_manifest(RUN, chain[0])).unlink()
    shown = ask(written, "show", chain[1])["chain"]
    assert [one["dataset_manifest_id"] for one in shown] == chain


def test_a_long_chain_is_shown_in_part(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ofs_spark.workflow.supersession.MOST_SHOWN", 1)
    chain = make_chain(written, 5)
    shown = ask(written, "show", chain[2])["chain"]
    assert [(one["dataset_manifest_id"], one.get("more")) for one in shown] == [
        (chain[1], True),
        (chain[2], None),
        (chain[3], True),
    ]
    told = run_command("--wiring", str(written.wiring), "show", chain[2]).stdout
    assert "… older ones" in told
    assert "… newer ones" in told


def test_a_submitted_backfill_is_the_command(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    old = build(written).published["dataset_manifest_id"]
    asked = (str(written.intent), "--supersedes", old, "--reason", "LATE_LABELS", "--request-id", "backfill.1")
    status = submit_backfill([*asked, "--wiring", str(written.wiring)])
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (status, answer["outcome"]) == (0, "COMMITTED")
    assert {**answer, "exit": 0} == backfill(written, old)
    written.run_facts.unlink()
    refused = submit_backfill([*asked[:-1], "backfill.2", "--wiring", str(written.wiring), "--note", "another stamp"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (refused, told["code"]) == (20, "RUN_FACTS_UNAVAILABLE")
    assert run_command("--json", *shlex.split(told["next"])[1:]).exit_code == 20


@pytest.mark.parametrize(("place", "said"), [(1, "would supersede itself"), (0, "would make a ring")])
def test_a_dataset_supersedes_neither_itself_nor_what_follows_from_it(
    place: int, said: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No digest is found that makes one: the id of the new dataset is made out."""
    chain = make_chain(written, 2)
    monkeypatch.setattr("ofs_spark.workflow.supersession.derive_manifest_id", lambda _fingerprint: chain[place])
    told = backfill(written, chain[1], "ring.backfill")
    assert (told["code"], said in told["message"]) == ("SUPERSESSION_LINK_INVALID", True)
