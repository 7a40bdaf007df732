"""The Spark session: made here and nowhere else, given to everything that needs one.

Two ways in. A plain Python process (`ofs`, tests) starts its own JVM: this file then sees to the Java, the jars, the
Python of the workers and the network address, so that none of them depends on what the machine has set. Under
`spark-submit` the JVM exists and the launcher has decided all of that: its session is taken, with `settings` on top.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pyspark
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from ofs_spark.foundation.commands import Next
from ofs_spark.foundation.errors import refuse
from ofs_spark.foundation.secrets import is_secret_name
from ofs_spark.foundation.wording import write_count
from ofs_spark.io.java import OPTIONS, Java, check_java, find_empty_folder, write_options

_CHECKOUT = Path(__file__).resolve().parents[2]


def has_session() -> bool:
    """Whether a session runs in this process already: whoever started it stops it."""
    return SparkContext._active_spark_context is not None


def build_session(
    settings: Mapping[str, str],
    master: str | None,
    app_name: str,
    *,
    jvm_log: Path | None = None,
    private: Collection[str] = (),
    checkout: Path = _CHECKOUT,
) -> SparkSession:
    """The process's session with `settings` in force.

    Args:
        settings: Spark properties, usually `spark_properties(conf/spark/local.conf)` and the wiring's on top.
        master: where to run, such as `local[*]`; None leaves it to `settings` or the launcher.
        app_name: what Spark's own pages and logs call this run.
        jvm_log: file that takes everything the JVM prints, for programs that own the terminal; appended to. Not used
            where the JVM exists already.
        private: names of settings that the JVM's command line, which everybody of this machine can read, must not show.
        checkout: folder whose `.jars/`, `jars/sha256.txt` and `conf/spark/log4j2.properties` count.

    Raises:
        EnvironmentUnfit: no fitting Java, a jar is missing, or the JVM did not start.
    """
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items())).setAppName(app_name)
    if master is not None:
        conf.setMaster(master)
    if not _has_jvm():
        java = check_java()
        jars = os.pathsep.join(str(jar) for jar in check_jars(checkout))
        conf.set("spark.driver.extraClassPath", jars).set("spark.executor.extraClassPath", jars)
        conf.set(OPTIONS, write_options(conf.get(OPTIONS) or "", checkout, java))
        _prepare_environment(checkout)
        _start_jvm(_leave_out_secrets(conf, private), jvm_log, java)
    logging.getLogger("py4j").addHandler(
        logging.NullHandler()
    )  # it tells of a dead JVM by tracebacks; `own_errors` does
    with _keep_interrupt():
        return SparkSession.builder.config(conf=conf).getOrCreate()


@contextmanager
def _keep_interrupt() -> Iterator[None]:
    """Ctrl-C stays what it was: PySpark's own handler calls the JVM in the middle of another call, and fails."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def stop_session(session: SparkSession, seconds: float = 20.0) -> None:
    """Stops a session of this process in order, and ends its JVM where that is asked too much: after a signal, too late.

    A JVM that a stopped driver leaves behind would go on with the job.
    """
    process = getattr(SparkContext._gateway, "proc", None)
    busy = sys.exc_info()[0] is not None and not issubclass(sys.exc_info()[0] or Exception, Exception)
    stopping = threading.Thread(target=_try_stopping, args=(session,), daemon=True)
    if not busy:
        stopping.start()
        stopping.join(seconds)
    if process is not None and (busy or stopping.is_alive()):
        process.kill()


def _try_stopping(session: SparkSession) -> None:
    with suppress(Exception):  # the JVM may be gone
        session.stop()


def read_properties(file: Path) -> dict[str, str]:
    """The settings of a properties file (`key value` or `key=value`, `#` comments), read as spark-submit does."""
    settings = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            key, _, value = re.sub(r"\s*[=\s]\s*", "\n", line.strip(), count=1).partition("\n")
            settings[key] = value
    return settings


def check_jars(checkout: Path = _CHECKOUT) -> list[Path]:
    """The jars of `jars/sha256.txt` in its order; ENVIRONMENT_UNFIT names those that `.jars/` lacks."""
    checksums = checkout / "jars" / "sha256.txt"
    if not checksums.is_file():
        message = "the list of jars is missing; outside a checkout start OFS with spark-submit"
        raise refuse("ENVIRONMENT_UNFIT", message, file=str(checksums))
    names = [line.split()[1] for line in checksums.read_text(encoding="ascii").splitlines()]
    missing = [name for name in names if not (checkout / ".jars" / name).is_file()]
    if missing:
        message = f"{len(missing)} of {write_count(len(names), 'jar')} are not in {checkout / '.jars'}"
        raise refuse("ENVIRONMENT_UNFIT", message, _set_up(checkout), missing=missing)
    return [checkout / ".jars" / name for name in names]


def _has_jvm() -> bool:
    """Whether spark-submit started this process, or it has started its JVM before (a stopped session keeps it)."""
    return "PYSPARK_GATEWAY_PORT" in os.environ or SparkContext._gateway is not None


def _prepare_environment(checkout: Path) -> None:
    """What the JVM and the workers inherit: nothing of another Spark or Python of this machine must be picked up."""
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    os.environ["SPARK_CONF_DIR"] = str(find_empty_folder(checkout))
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"


def _leave_out_secrets(conf: SparkConf, private: Collection[str]) -> SparkConf:
    """The settings that the JVM is started with; the others are given to the session through the gateway."""
    stated = conf.getAll()
    shown = [(name, value) for name, value in stated if name not in private and not is_secret_name(name)]
    return SparkConf(loadDefaults=False).setAll([one for one in shown if not one[0].startswith("spark.hadoop.")])


def _start_jvm(conf: SparkConf, jvm_log: Path | None, java: Java) -> None:
    try:
        if jvm_log is None:
            gateway = launch_gateway(conf)
        else:
            jvm_log.parent.mkdir(parents=True, exist_ok=True)
            with jvm_log.open("ab") as log:
                gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
    except PySparkRuntimeError as error:
        where = f"; its own words are in {jvm_log}" if jvm_log else ""
        message = f"Spark's JVM (Java {java.major}) did not start{where}"
        raise refuse("ENVIRONMENT_UNFIT", message, reason=str(error)[:500]) from error
    SparkContext._ensure_initialized(gateway=gateway)  # the next context of this process uses this JVM


def _set_up(checkout: Path) -> Next:
    """What brings the jars: it can be typed in any folder."""
    return Next("setup", program=("make", "-C", str(checkout)))
