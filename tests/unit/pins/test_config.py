"""Policy and wiring: what is digested, what is refused, what a prod wiring never takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ofs_spark.foundation.config import read_code_release
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.policy import DIGESTED, UNDIGESTED, load_policy
from ofs_spark.io.adapters import load_wiring
from ofs_spark.io.context import open_context
from tests.spec.intents import ROOT

WIRING = """
objects: {root: objects}
ledger: {dsn: "sqlite:///ledger.sqlite"}
profiles: {root: profiles}
labels: {kind: extract, ref: labels/label_extract.json}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "conf" / "policy", tmp_path / "policy"))


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def unfit(told: str, policy: Path) -> None:
    with pytest.raises(Refusal, match=told) as caught:
        load_policy(policy)
    assert caught.value.code == "ENVIRONMENT_UNFIT"


def test_the_shipped_policy() -> None:
    policy = load_policy(None)
    assert (policy.arrival, policy.window_truncated) == ("published_at_utc", "allow")
    assert policy.coverage == {"min_coverage_by_label_type": {}, "max_conflict_ratio": 0}
    assert policy.min_mature_anchor_ratio == 0
    assert set(policy.file_digests) == set(DIGESTED)


CHANGES = {
    "features.yaml": ("window_truncated: allow", "window_truncated: refuse"),
    "labels.yaml": ("max_conflict_ratio: 0", "max_conflict_ratio: 0.01"),
    "layout.yaml": ("leaf_rows: 1048576", "leaf_rows: 1000"),
    "replay.yaml": ("arrival: published_at_utc", "arrival: archived_at_utc"),
    "launcher.yaml": ("attempts: 5", "attempts: 6"),
    "revision.yaml": ("policy_revision: ofs-policy-v1", "policy_revision: ofs-policy-v2"),
}


@pytest.mark.parametrize("name", DIGESTED + UNDIGESTED)
def test_only_what_changes_rows_or_admission_is_digested(name: str, policy: Path) -> None:
    before = load_policy(policy)
    edit(policy, name, *CHANGES[name])
    after = load_policy(policy)
    assert after != before
    assert (after.run_config_digest != before.run_config_digest) == (name in DIGESTED)


def test_comments_and_order_are_not_digested(policy: Path) -> None:
    before = load_policy(policy).run_config_digest
    (policy / "layout.yaml").write_text("leaf_rows: 1048576\nrows_per_bucket: 262144\n")
    assert load_policy(policy).run_config_digest == before


def test_an_unknown_key_a_missing_one_and_an_odd_value_are_told_together(policy: Path) -> None:
    (policy / "features.yaml").write_text("window_truncate: allow\n")
    edit(policy, "layout.yaml", "leaf_rows: 1048576", "leaf_rows: 0")
    with pytest.raises(Refusal) as caught:
        load_policy(policy)
    found = [(fault["pointer"], fault["message"]) for fault in caught.value.details["faults"]]
    assert found == [
        ("/leaf_rows", "0 is less than the minimum of 1"),
        ("/window_truncate", "is not a field of this document"),
        ("/window_truncated", "is required"),
    ]
    assert "/leaf_rows of layout.yaml" in caught.value.message


@pytest.mark.parametrize("line", ["max_conflict_ratio: 1", "leaf_rows: 5"])
def test_a_key_that_changes_rows_stands_in_no_undigested_file(line: str, policy: Path) -> None:
    (policy / "launcher.yaml").write_text(f"{(policy / 'launcher.yaml').read_text()}{line}\n")
    unfit("stands in launcher.yaml; its file is", policy)


@pytest.mark.parametrize("value", ["true", "1.0", "-1", "many", "null"])
def test_a_bound_is_a_whole_number(value: str, policy: Path) -> None:
    edit(policy, "layout.yaml", "rows_per_bucket: 262144", f"rows_per_bucket: {value}")
    unfit("/rows_per_bucket of layout.yaml", policy)


@pytest.mark.parametrize("value", ["1.01", "-0.1", "true", "'0.5'"])
def test_a_ratio_lies_between_nothing_and_all(value: str, policy: Path) -> None:
    edit(policy, "labels.yaml", "max_conflict_ratio: 0", f"max_conflict_ratio: {value}")
    unfit("/max_conflict_ratio of labels.yaml", policy)


def test_a_policy_file_is_there_and_is_a_mapping(policy: Path) -> None:
    (policy / "replay.yaml").write_text("- arrival\n")
    unfit("is not a mapping", policy)
    (policy / "replay.yaml").unlink()
    unfit("replay.yaml cannot be read", policy)


def test_the_environment_names_the_policy(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(policy, "launcher.yaml", "attempts: 5", "attempts: 9")
    monkeypatch.setenv("OFS_POLICY", str(policy))
    assert load_policy(None).attempts == 9


def wired(tmp_path: Path, text: str) -> Path:
    (tmp_path / "wiring.yaml").write_text(text)
    return tmp_path / "wiring.yaml"


def test_folders_are_relative_to_the_wiring_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("OFS_WIRING", str(wired(tmp_path, WIRING)))
    wiring = load_wiring(None)
    assert (wiring.objects_root, wiring.profiles_root) == (str(tmp_path / "objects"), str(tmp_path / "profiles"))
    assert wiring.ledger_dsn == f"sqlite:///{tmp_path}/ledger.sqlite"
    assert (wiring.kind, wiring.bus, wiring.labels.ref) == ("local", "none", "labels/label_extract.json")


def test_what_is_stated_and_not_used_is_told(tmp_path: Path) -> None:
    text = WIRING.replace("root: objects}", "root: objects, region: eu-west-1}")
    heard: list[str] = []
    (tmp_path / "objects").mkdir()
    wiring = wired(tmp_path, text + "telemetry: {otlp_endpoint: 'http://127.0.0.1:4317'}\n")
    with open_context(wiring, None, lambda _room, doing: heard.append(doing)):
        pass
    assert [line.split()[4].rstrip(",") for line in heard] == ["objects.region", "telemetry.otlp_endpoint"]
    assert load_wiring(wired(tmp_path, WIRING)).unused == ()


REFUSED = {
    "an unknown key": (WIRING + "colour: red\n", "colour"),
    "no labels": (WIRING.replace("labels:", "label:"), "label"),
    "prod with a folder": (WIRING + "kind: prod\n", "a prod wiring names an object store"),
    "prod with SQLite": (WIRING.replace("root: objects}", "root: s3://bucket/p}") + "kind: prod\n", "a prod wiring"),
    "no YAML": ("objects: [", "is not YAML"),
    "a store of no release": (WIRING.replace("root: objects}", "root: gs://bucket/p}"), "objects.root is gs"),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wiring_that_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=told) as caught:
        load_wiring(wired(tmp_path, text))
    assert caught.value.code == "ENVIRONMENT_UNFIT"


def test_a_password_is_not_told(tmp_path: Path) -> None:
    text = WIRING.replace("sqlite:///ledger.sqlite", "postgresql://ofs:hunter2@db/ledger")
    with pytest.raises(Refusal, match=r"/ledger/dsn: .* may hold a password") as caught:
        load_wiring(wired(tmp_path, text))
    assert "hunter2" not in str(caught.value.to_document())


def test_the_packager_may_state_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFS_CODE_RELEASE", "git:abc")
    assert read_code_release() == "git:abc"
    monkeypatch.delenv("OFS_CODE_RELEASE")
    assert read_code_release().startswith("ofs-spark-")
