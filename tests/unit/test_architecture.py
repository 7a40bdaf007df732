"""The edges of the house: which file may import which, and what may be named only in one place.

foundation → intent → pins → replay ∥ labels → features → publish ∥ parity → signals → workflow → pipeline
→ io, intake, demo, commands, api, cli, jobs
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ofs_spark.foundation.code_folder import MADE_OF

ROOT = Path(__file__).resolve().parents[2]

PLAIN = {
    "audit", "canonical", "clock", "code_folder", "codes", "collect", "commands", "config", "contract_faults",
    "contracts", "documents", "ends", "errors", "files", "nearest", "ownership", "paths", "policy", "ports", "positions",
    "proofs", "refs", "secrets", "stops", "strict_yaml", "wiring", "wording",
}  # fmt: skip
"""Foundation that loads neither Arrow nor Numba."""
COLUMNAR = "columnar"
FOUNDATION = {f"foundation.{name}" for name in (*PLAIN, COLUMNAR)}
UPSTREAM = {
    "intent": set[str](),
    "pins": {"intent"},
    "replay": {"intent", "pins"},
    "labels": {"intent", "pins"},
    "features": {"intent", "pins", "replay", "labels"},
    "publish": {"intent", "pins", "replay", "labels", "features"},
    "parity": {"intent", "pins", "replay", "features"},
    "signals": {"intent", "pins", "replay", "labels", "features", "publish"},
}
ROOMS = set(UPSTREAM)
MAY_IMPORT = {
    **dict.fromkeys((f"foundation.{name}" for name in PLAIN), FOUNDATION - {f"foundation.{COLUMNAR}"}),
    f"foundation.{COLUMNAR}": FOUNDATION,
    **{room: FOUNDATION | {room} | upstream for room, upstream in UPSTREAM.items()},
    "workflow": FOUNDATION | ROOMS | {"workflow"},
    "pipeline": FOUNDATION | ROOMS | {"workflow"},
    "console": FOUNDATION | {"console"},
    "io": FOUNDATION | ROOMS | {"workflow", "io"},
    "intake": FOUNDATION | {"pins", "labels", "io", "intake"},
    "demo": FOUNDATION | ROOMS | {"workflow", "pipeline", "console", "io", "intake", "demo"},
    "commands": FOUNDATION | ROOMS | {"workflow", "pipeline", "console", "io", "intake", "demo", "commands"},
    "api": FOUNDATION | ROOMS | {"workflow", "pipeline", "io", "api"},
    "cli": FOUNDATION | {"console", "commands", "cli"},
    "jobs": FOUNDATION | ROOMS | {"pipeline", "console", "io", "cli"},
    "": {"api", "foundation.errors"},  # the package's __init__.py, which loads nothing before it is asked for
    "foundation": set[str](),  # its __init__.py
}

NOT_OUTSIDE = {
    "ofs_spark/foundation/clock.py": {"Clock"},  # the foundation itself knows the time
    "ofs_spark/foundation/columnar/dataflow.py": {"Work"},  # rooms write works, engines only call them
    "ofs_spark/foundation/columnar/pages.py": {"Bytes"},  # `bytes` itself, or what reads a file as one
    "ofs_spark/io/watched.py": {"Around"},  # stands around the calls of ports, and is none
}
"""Protocols that no adapter implements; every other one is a port and stands in a ports.py."""

NOW = {
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "time.time", "time.time_ns", "pandas.Timestamp.now", "pandas.Timestamp.utcnow", "pandas.Timestamp.today",
}  # fmt: skip
COLLECTS = {"collect", "toPandas", "toArrow", "toLocalIterator"}
NOT_A_REPAIR = {"dropDuplicates", "drop_duplicates"}
NOT_SHIPPED = {"tests", "scripts", "jobs", "benchmarks"}


def faults(path: str, source: str) -> list[str]:
    """What the file `path` (relative to the repository) does that its place does not allow."""
    tree = ast.parse(source)
    names = dict(imported(path, tree))
    calls = list(called(tree, names))
    return [
        *edge_faults(path, set(names.values())),
        *(f"{path}: reads the clock by {name}" for name in clock_reads(path, tree, names)),
        *(f"{path}: {name} is a port; ports stand in ports.py" for name in stray_ports(path, tree, names)),
        *(f"{path}: .{name}() is no repair" for name in calls if name in NOT_A_REPAIR),
        *(f"{path}: .{name}() brings data to the driver" for name in calls if name in COLLECTS and not in_io(path)),
        *(f"{path}: makes a session" for name in calls if name == "getOrCreate" and path != "ofs_spark/io/session.py"),
    ]


def edge_faults(path: str, modules: set[str]) -> Iterator[str]:
    here = place(path)
    if here not in MAY_IMPORT:
        yield f"{path}: {here} is neither foundation nor a room; give it its place in this test"
        return
    for module in sorted(modules):
        top, _, rest = module.partition(".")
        target = inside(rest)
        if top == "ofs_spark" and target and target not in MAY_IMPORT[here]:
            yield f"{path}: {here or 'the package'} must not import {target}"
        if top == "pyspark" and not in_io(path):
            yield f"{path}: only io/ may name pyspark"
        if top in NOT_SHIPPED:
            yield f"{path}: {top} is not part of the package"


def place(path: str) -> str:
    """Where a file belongs: `ofs_spark/replay/scan/read.py` → replay, `ofs_spark/foundation/errors.py` → foundation.errors."""
    parts = Path(path).with_suffix("").parts
    if parts[0] != "ofs_spark":
        return parts[0]
    return "" if parts[1] == "__init__" else inside(".".join(parts[1:]))


def inside(module: str) -> str:
    """What a module of the package belongs to: `replay.scan.spec` → replay, `foundation.errors` → foundation.errors."""
    top, *rest = module.removesuffix(".__init__").split(".")
    return f"{top}.{rest[0]}" if top == "foundation" and rest else top


def in_io(path: str) -> bool:
    return path.startswith("ofs_spark/io/")


def clock_reads(path: str, tree: ast.AST, names: dict[str, str]) -> list[str]:
    return [] if path == "ofs_spark/foundation/clock.py" else sorted(NOW & set(dotted(tree, names)))


def stray_ports(path: str, tree: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """Protocols that stand in another file than a ports.py."""
    for node in ast.walk(tree) if not path.endswith("/ports.py") else ():
        if isinstance(node, ast.ClassDef) and node.name not in NOT_OUTSIDE.get(path, set()):
            bases = [name for base in node.bases for name in dotted(base, names)]
            if any(name.split(".")[-1] == "Protocol" for name in bases):
                yield node.name


def imported(path: str, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Every import of the file, wherever it stands: local name → full dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname or alias.name), alias.name
        elif isinstance(node, ast.ImportFrom):
            package = Path(path).parent.parts
            above = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield (alias.asname or alias.name), ".".join([*above, *filter(None, [node.module]), alias.name])


def dotted(tree: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """Full dotted names of every name and attribute that begins at an import: `dt.date.today` → datetime.date.today."""
    for node in ast.walk(tree):
        chain: list[str] = []
        owner = node
        while isinstance(owner, ast.Attribute):
            chain.append(owner.attr)
            owner = owner.value
        if isinstance(owner, ast.Name) and owner.id in names:
            yield ".".join([names[owner.id], *reversed(chain)])


def called(tree: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """Names of the methods called on values (not functions of an imported module, such as gc.collect)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if not (isinstance(owner, ast.Name) and owner.id in names and names[owner.id].islower()):
                yield node.func.attr


def shipped_files() -> list[str]:
    found = [*(ROOT / "ofs_spark").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]
    return sorted(file.relative_to(ROOT).as_posix() for file in found)


def users_of_the_foundation(sources: dict[str, str]) -> dict[str, set[str]]:
    """Module of the foundation → everything else that imports it: rooms, workflow, pipeline, io, other such modules."""
    users: dict[str, set[str]] = {place(path): set() for path in sources if place(path).startswith("foundation.")}
    for path, source in sources.items():
        for module in dict(imported(path, ast.parse(source))).values():
            used = inside(module.removeprefix("ofs_spark."))
            if used in users and used != place(path):
                users[used].add(place(path))
    return users


def uncalled_for(users: dict[str, set[str]]) -> list[str]:
    """Modules that have no place in the foundation: neither two places outside it nor another of its modules need them."""
    outside = {name: {user for user in own if not user.startswith("foundation.")} for name, own in users.items()}
    return sorted(name for name, own in users.items() if len(outside[name]) < 2 and not own - outside[name])


def test_the_foundation_holds_what_two_need_and_none_owns() -> None:
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in shipped_files()}
    users = users_of_the_foundation(sources)
    assert set(users) == {place(path) for path in sources if place(path).startswith("foundation.")}
    assert uncalled_for(users) == []


def test_a_module_of_one_room_has_no_place_in_the_foundation() -> None:
    users = users_of_the_foundation(
        {
            "ofs_spark/foundation/tides.py": "",
            "ofs_spark/foundation/clock.py": "",
            "ofs_spark/labels/asof.py": "from ofs_spark.foundation import tides\nimport ofs_spark.foundation.clock",
            "ofs_spark/labels/model.py": "from ofs_spark.foundation.tides import HIGH",
            "ofs_spark/io/delta.py": "from ofs_spark.foundation.clock import SECOND_US",
        }
    )
    assert uncalled_for(users) == ["foundation.tides"]


def test_the_plain_foundation_loads_nothing_columnar() -> None:
    """In a process of its own, every module outside columnar/ at once."""
    modules = ", ".join(f"ofs_spark.foundation.{name}" for name in sorted(PLAIN))
    program = f"import {modules}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyarrow", "numpy", "numba", "pyspark"} & set(loaded)


@pytest.mark.parametrize("path", shipped_files())
def test_file_keeps_to_its_place(path: str) -> None:
    assert faults(path, (ROOT / path).read_text(encoding="utf-8")) == []


def test_the_whole_package_was_looked_at() -> None:
    assert {place(path) for path in shipped_files()} >= ROOMS | {"foundation.errors", "workflow", "io", "demo"}


def named_words(source: str) -> set[str]:
    """Every variable, attribute and imported name of a file: what it calls things, not what it writes about them."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, ast.Attribute):
            words.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            words.update(alias.name for alias in node.names)
    return words


def test_a_compiled_loop_is_made_of_nothing_that_its_digest_leaves_out() -> None:
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in shipped_files()}
    made = {place(path).split(".")[0] for path, source in sources.items() if "compile_loop" in named_words(source)}
    assert made
    assert made <= set(MADE_OF)
    may_hold = {one for here in MAY_IMPORT if here.split(".")[0] in MADE_OF for one in MAY_IMPORT[here]}
    assert {one.split(".")[0] for one in may_hold} <= set(MADE_OF)


def test_one_file_knows_how_an_anchor_is_flagged() -> None:
    naming = [path for path in shipped_files() if "ANCHOR" in named_words((ROOT / path).read_text(encoding="utf-8"))]
    assert naming == ["ofs_spark/replay/anchors.py"]
    for bad in ("from ofs_spark.replay.anchors import ANCHOR as bit", "x = flags & anchors.ANCHOR", "ANCHOR = 2"):
        assert "ANCHOR" in named_words(bad)


def fixed_sources(source: str) -> list[int]:
    """Lines of a file that write the source of a range out: `"source": "…"` in a document."""
    dicts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict)]
    pairs = [pair for node in dicts for pair in zip(node.keys, node.values, strict=True)]
    literal = [
        (key, value) for key, value in pairs if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    ]
    return [key.lineno for key, _ in literal if key.value == "source"]


def test_documents_get_the_source_of_a_range_from_the_plan() -> None:
    assert {path: fixed_sources((ROOT / path).read_text(encoding="utf-8")) for path in shipped_files()} == {
        path: [] for path in shipped_files()
    }
    assert fixed_sources('x = {"range": one, "source": "archive"}') == [1]


def test_the_oracle_shares_nothing_with_what_it_judges() -> None:
    for file in (ROOT / "tests" / "oracle").rglob("*.py"):
        path = file.relative_to(ROOT).as_posix()
        modules = dict(imported(path, ast.parse(file.read_text(encoding="utf-8")))).values()
        assert [module for module in modules if module.split(".")[0] in {"ofs_spark", "pyspark"}] == [], path


@pytest.mark.parametrize(
    ("path", "source", "says"),
    [
        ("pins/plan.py", "from ofs_spark.replay import completeness", "pins must not import replay"),
        ("labels/asof.py", "import ofs_spark.replay.rows", "labels must not import replay"),
        ("replay/dedupe.py", "from ofs_spark import labels", "replay must not import labels"),
        ("replay/dedupe.py", "from ..labels import asof", "replay must not import labels"),
        ("replay/scan/read.py", "from ...publish.layout import bucket", "replay must not import publish"),
        ("features/flow.py", "def f():\n    from ofs_spark.io.objects import Put", "features must not import io"),
        ("publish/stage.py", "import ofs_spark.signals", "publish must not import signals"),
        ("foundation/errors.py", "from ofs_spark.intent import model", "foundation.errors must not import intent"),
        (
            "foundation/clock.py",
            "from ofs_spark.foundation.columnar import hashing",
            "must not import foundation.columnar",
        ),
        ("publish/commit.py", "from ofs_spark.workflow.attempt import Attempt", "publish must not import workflow"),
        ("workflow/plan.py", "from ofs_spark import pipeline", "workflow must not import pipeline"),
        ("workflow/build.py", "from ofs_spark.io.embedded_engine import EmbeddedEngine", "workflow must not import io"),
        ("pipeline.py", "from ofs_spark.io.delta import commit", "pipeline must not import io"),
        ("io/delta.py", "from ofs_spark import pipeline", "io must not import pipeline"),
        ("intent/run.py", "from ofs_spark.cli import main", "intent must not import cli"),
        ("helpers.py", "", "give it its place"),
        ("labels/asof.py", "from pyspark.sql import DataFrame", "may name pyspark"),
        ("labels/asof.py", "import pyspark.sql.functions as F", "may name pyspark"),
        ("cli.py", "def f():\n    import pyspark", "may name pyspark"),
        ("pins/plan.py", "from tests.worlds import card", "tests is not part"),
        ("pins/plan.py", "from datetime import datetime\nx = datetime.now()", "reads the clock"),
        ("pins/plan.py", "import datetime as dt\nx = dt.datetime.utcnow()", "reads the clock"),
        ("pins/plan.py", "from datetime import datetime as D\nf(default_factory=D.now)", "reads the clock"),
        ("pins/plan.py", "from time import time as t\nx = t()", "reads the clock"),
        ("io/ledger/sqlite.py", "import time\nx = time.time()", "reads the clock"),
        ("publish/commit.py", "from typing import Protocol\nclass Store(Protocol): ...", "Store is a port"),
        ("io/adapters.py", "import typing as t\nclass Bus(t.Protocol[int]): ...", "Bus is a port"),
        ("foundation/clock.py", "from typing import Protocol as P\nclass Zone(P): ...", "Zone is a port"),
        ("features/flow.py", "rows = frame.collect()", "brings data to the driver"),
        ("replay/scan_job.py", "rows = frame.select('a').toPandas()", "brings data to the driver"),
        ("io/delta.py", "frame = frame.dropDuplicates(['event_id'])", "is no repair"),
        ("io/delta.py", "session = SparkSession.builder.getOrCreate()", "makes a session"),
    ],
)
def test_a_bad_file_is_seen(path: str, source: str, says: str) -> None:
    found = faults(f"ofs_spark/{path}", source)
    assert len(found) == 1, found
    assert says in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("foundation/clock.py", "from datetime import UTC, datetime\nx = datetime.now(UTC)"),
        ("publish/stage.py", "import time\nx = time.perf_counter() - time.monotonic()"),
        ("publish/stage.py", "def f(clock):\n    return clock.now()"),
        ("publish/stage.py", "import gc\ngc.collect()"),
        ("publish/ports.py", "from typing import Protocol\nclass Store(Protocol): ..."),
        ("foundation/clock.py", "from typing import Protocol\nclass Clock(Protocol): ..."),
        ("io/session.py", "import pyspark\npyspark.sql.SparkSession.builder.getOrCreate().range(1).collect()"),
        (
            "replay/dedupe.py",
            "from . import rows\nfrom ..pins.plan import BuildPlan\nimport ofs_spark.foundation.errors",
        ),
        ("demo/run.py", "from ofs_spark import pipeline\nfrom ofs_spark.io.session import build_session"),
    ],
)
def test_a_good_file_is_left_alone(path: str, source: str) -> None:
    assert faults(f"ofs_spark/{path}", source) == []


def test_a_job_reads_no_spark_itself() -> None:
    assert faults("jobs/build_dataset.py", "from ofs_spark.io.session import build_session") == []
    assert "may name pyspark" in faults("jobs/build_dataset.py", "import pyspark")[0]


def test_answering_a_published_intent_loads_neither_arrow_nor_numba_nor_spark() -> None:
    """In a process of its own: here everything is loaded already."""
    modules = "ofs_spark.cli, ofs_spark.io.context, ofs_spark.workflow.answer, ofs_spark.signals.write"
    program = f"import {modules}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyarrow", "numpy", "numba", "pyspark", "deltalake", "sqlalchemy"} & set(loaded)
