from __future__ import annotations

from pathlib import Path

import pytest

from ofs_spark.foundation.commands import NOBODY
from ofs_spark.foundation.errors import EnvironmentUnfit
from ofs_spark.io.engines import find_log
from ofs_spark.io.java import check_java
from ofs_spark.io.session import check_jars, read_properties
from tests.unit.permissions import unprivileged

ROOT = Path(__file__).resolve().parents[2]


def fake_java(folder: Path, banner: str) -> None:
    command = folder / "bin" / "java"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\necho '{banner}' >&2\n")
    command.chmod(0o755)


@pytest.mark.parametrize(
    ("banner", "major"), [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "21" 2023-09-19 LTS', 21)]
)
def test_fitting_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, banner: str, major: int) -> None:
    fake_java(tmp_path, banner)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert check_java().major == major


@pytest.mark.parametrize(
    ("banner", "says"),
    [
        ('java version "1.8.0_392"', "Java 8 in JAVA_HOME"),
        ('openjdk version "11.0.1"', "Java 11"),
        ("??", "gave no version"),
    ],
)
def test_unfit_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, banner: str, says: str) -> None:
    fake_java(tmp_path, banner)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EnvironmentUnfit, match=says) as caught:
        check_java()
    assert caught.value.exit_status == 80


@pytest.mark.parametrize("home", [None, "/nowhere"])
def test_missing_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if home:
        monkeypatch.setenv("JAVA_HOME", home)
    with pytest.raises(EnvironmentUnfit, match="no java in") as caught:
        check_java()
    assert caught.value.next_command is None  # nothing that OFS can run brings a Java


def test_jars_come_in_the_order_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "jars").mkdir()
    (tmp_path / ".jars").mkdir()
    (tmp_path / "jars" / "sha256.txt").write_text("00  a.jar\n11  b.jar\n")
    for name in ("a.jar", "b.jar", "stray.jar"):
        (tmp_path / ".jars" / name).touch()
    assert check_jars(tmp_path) == [tmp_path / ".jars" / "a.jar", tmp_path / ".jars" / "b.jar"]


def test_missing_jars_are_named(tmp_path: Path) -> None:
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "sha256.txt").write_text("00  a.jar\n11  b.jar\n")
    with pytest.raises(EnvironmentUnfit, match="2 of 2 jars") as caught:
        check_jars(tmp_path)
    assert caught.value.details["missing"] == ["a.jar", "b.jar"]
    assert caught.value.write_next(NOBODY) == f"make -C {tmp_path} setup"


def test_no_checkout_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="list of jars is missing"):
        check_jars(tmp_path)


def test_properties_are_read_as_spark_submit_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "x.conf"
    file.write_text("# reason\n\nspark.a   b c=d\nspark.e=f\n  spark.g = h # kept\nspark.lonely\n")
    expected = {"spark.a": "b c=d", "spark.e": "f", "spark.g": "h # kept", "spark.lonely": ""}
    assert read_properties(file) == expected


@pytest.mark.parametrize("name", ["local.conf", "cluster.conf"])
def test_shipped_settings_agree_on_what_must_not_differ(name: str) -> None:
    settings = read_properties(ROOT / "conf" / "spark" / name)
    assert settings["spark.sql.session.timeZone"] == "UTC"
    assert settings["spark.sql.ansi.enabled"] == "true"
    assert settings["spark.hadoop.parquet.page.verify-checksum.enabled"] == "true"


def test_what_crosses_a_network_is_compressed_and_checked_and_few_to_a_batch() -> None:
    settings = read_properties(ROOT / "conf" / "spark" / "cluster.conf")
    assert settings["spark.shuffle.compress"] == settings["spark.shuffle.checksum.enabled"] == "true"
    assert settings["spark.sql.execution.arrow.maxRecordsPerBatch"] == "4"


def test_a_command_that_reads_leaves_no_log_in_the_object_root(tmp_path: Path) -> None:
    assert find_log(str(tmp_path), reads=False) == tmp_path / ".spark" / "jvm.log"
    log = find_log(str(tmp_path), reads=True)
    assert log.is_file()
    assert not log.is_relative_to(tmp_path)
    log.unlink()


def test_an_object_root_that_may_not_be_written_holds_no_log(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with unprivileged():
        log = find_log(str(tmp_path), reads=False)
    assert not log.is_relative_to(tmp_path)
    log.unlink()
