"""The Java that Spark is started with, and what it is told at its start (docs/adr/0030)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyspark

from ofs_spark.foundation.errors import refuse

JAVA_MINIMUM = 17
OPTIONS = "spark.driver.defaultJavaOptions"
"""The setting that has OFS' own options; `extraJavaOptions` are the user's."""


@dataclass(frozen=True)
class Java:
    """major: version, such as 17. banner: what `java -version` says."""

    major: int
    banner: str


def check_java() -> Java:
    """The Java that Spark will start; ENVIRONMENT_UNFIT when it is missing or too old."""
    home = os.environ.get("JAVA_HOME")
    command = shutil.which(str(Path(home, "bin", "java"))) if home else shutil.which("java")
    place = f"JAVA_HOME ({home})" if home else "the PATH"
    if command is None:
        message = f"no java in {place}; Spark needs Java {JAVA_MINIMUM} or newer"
        raise refuse("ENVIRONMENT_UNFIT", message, java_home=home)
    banner = subprocess.run([command, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)(?:\.(\d+))?', banner)
    if version is None:
        message = f"{command} -version gave no version; Spark needs Java {JAVA_MINIMUM} or newer"
        raise refuse("ENVIRONMENT_UNFIT", message, answer=banner[:500])
    major = int(version[2] if version[1] == "1" and version[2] else version[1])  # Java 8 calls itself 1.8
    if major < JAVA_MINIMUM:
        message = f"Java {major} in {place}; Spark needs Java {JAVA_MINIMUM} or newer"
        raise refuse("ENVIRONMENT_UNFIT", message, command=command)
    return Java(major, banner)


def find_class_archive(checkout: Path, java: Java) -> Path:
    """Where the classes that Spark's start needs are kept, parsed and verified, by `make setup`; it may not be there.

    It is good for one Java and one class path: the name has both.
    """
    of = hashlib.sha256()
    for part in (java.banner, pyspark.__file__, pyspark.__version__, str(checkout)):
        of.update(part.encode() + b"\n")
    of.update((checkout / "jars" / "sha256.txt").read_bytes())
    return checkout / ".jars" / f"classes-{of.hexdigest()[:16]}.jsa"


def find_empty_folder(checkout: Path) -> Path:
    """What stands on the class path in place of Spark's folder of settings: the JVM takes no class archive beside files there."""
    return checkout / ".jars" / "no-settings"


def write_options(stated: str, checkout: Path, java: Java) -> str:
    """OPTIONS: what is stated, where the settings of the log are, and the archive of classes.

    The JVM goes on without an archive that does not fit it.
    """
    options = [f"-Dlog4j2.configurationFile={checkout / 'conf' / 'spark' / 'log4j2.properties'}"]
    archive = find_class_archive(checkout, java)
    if archive.is_file():
        options += [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"]
    quoted = (f'"{option}"' for option in options)  # Spark splits at blanks, which paths may have
    return " ".join([stated, *quoted]).strip()
