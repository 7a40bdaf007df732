"""What Spark's JVM is started with on one machine: docs/adr/0030."""

from __future__ import annotations

from pathlib import Path

import pytest

from ofs_spark.io.java import Java, find_class_archive, find_empty_folder, write_options

JAVA = Java(17, 'openjdk version "17.0.15"')


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder"
    for part in ("jars", ".jars"):
        (folder / part).mkdir(parents=True)
    (folder / "jars" / "sha256.txt").write_text("00  a.jar\n")
    return folder


def test_an_archive_of_classes_is_taken_where_it_is_there(checkout: Path) -> None:
    log = f'"-Dlog4j2.configurationFile={checkout}/conf/spark/log4j2.properties"'
    assert write_options("-Xss4m", checkout, JAVA) == f"-Xss4m {log}"
    archive = find_class_archive(checkout, JAVA)
    archive.touch()
    assert write_options("", checkout, JAVA) == f'{log} "-XX:SharedArchiveFile={archive}" "-Xshare:auto"'


def test_an_archive_is_of_one_java_and_one_class_path(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {find_class_archive(checkout, java).name for java in (JAVA, Java(17, 'openjdk version "17.0.16"'))}
    (checkout / "jars" / "sha256.txt").write_text("11  a.jar\n")
    names.add(find_class_archive(checkout, JAVA).name)
    monkeypatch.setattr("pyspark.__version__", "4.1.9")
    names.add(find_class_archive(checkout, JAVA).name)
    names.add(find_class_archive(checkout.rename(checkout.parent / "moved"), JAVA).name)
    assert len(names) == 5


def test_the_folder_in_place_of_settings_is_never_made(checkout: Path) -> None:
    assert not find_empty_folder(checkout).exists()
