"""Fills `.jars/` with the JVM libraries of `jars/ivy.xml`, byte for byte those of `jars/sha256.txt`.

Ivy, the resolver that Spark ships, does the work; only Java is needed. Nothing is fetched when every jar is there with
the right checksum. Jars get their names only after all checksums held: an interrupted run leaves nothing half done.

Usage: fetch_jars.py            fetch what is missing
       fetch_jars.py --record   fetch everything and write jars/sha256.txt anew (after a change of jars/ivy.xml)
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
JARS = ROOT / ".jars"
CHECKSUMS = ROOT / "jars" / "sha256.txt"
ATTEMPTS = 3  # one answer lost on the way to a repository must not fail a build


def main(arguments: list[str]) -> int:
    """Exit status: 0 all jars are there, 80 they cannot be had."""
    record = arguments == ["--record"]
    if arguments and not record:
        print(__doc__, file=sys.stderr)
        return 2
    accepted = {} if record else read_checksums()
    if not record and all(digest(JARS / name) == sha256 for name, sha256 in accepted.items()):
        return 0
    JARS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=JARS) as scratch:
        found = retrieve(Path(scratch))
        if record:
            CHECKSUMS.write_text("".join(f"{digest(jar)}  {jar.name}\n" for jar in found), encoding="ascii")
            accepted = read_checksums()
        wrong = [name for name, sha256 in accepted.items() if digest(Path(scratch, "jars", name)) != sha256]
        if wrong:
            print(f"not to be had with the bytes of jars/sha256.txt: {', '.join(wrong)}", file=sys.stderr)
            return 80
        for name in accepted:
            os.replace(Path(scratch, "jars", name), JARS / name)
    return 0


def read_checksums() -> dict[str, str]:
    """Jar file name → SHA-256, from jars/sha256.txt."""
    lines = CHECKSUMS.read_text(encoding="ascii").splitlines()
    return {name: sha256 for sha256, name in (line.split() for line in lines)}


def digest(file: Path) -> str | None:
    """SHA-256 of a file in hexadecimal, None when there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def retrieve(scratch: Path) -> list[Path]:
    """The jars of jars/ivy.xml in `scratch`/jars, sorted by name, with Ivy's cache beside them."""
    command = [
        java(), f"-Divy.default.ivy.user.dir={scratch}", "-cp", resolver_class_path(), "org.apache.ivy.Main",
        "-settings", str(ROOT / "jars" / "ivysettings.xml"), "-ivy", str(ROOT / "jars" / "ivy.xml"),
        "-cache", str(scratch / "cache"), "-types", "jar", "-retrieve", f"{scratch}/jars/[artifact]-[revision].[ext]",
    ]  # fmt: skip
    for attempt in range(1, ATTEMPTS + 1):
        outcome = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if outcome.returncode == 0:
            break
        print(f"attempt {attempt} of {ATTEMPTS} to fetch the jars failed:\n{outcome.stdout[-2000:]}", file=sys.stderr)
        time.sleep(2 * attempt)
    return sorted((scratch / "jars").glob("*.jar"))


def java() -> str:
    """The java command Spark would use."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if command is None:
        sys.exit("Java is not on the PATH and JAVA_HOME is not set: install Java 17")
    return command


def resolver_class_path() -> str:
    """Ivy and its command line parser, out of pyspark's jars."""
    pyspark = importlib.util.find_spec("pyspark")
    if pyspark is None or pyspark.origin is None:
        sys.exit("pyspark is not installed: run make setup")
    shipped = Path(pyspark.origin).parent / "jars"
    found = [jar for part in ("ivy", "commons-cli") for jar in sorted(shipped.glob(f"{part}-[0-9]*.jar"))]
    return os.pathsep.join(map(str, found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
