"""What a person sees of whole commands, compared with golden files: both streams and the exit status.

Each screen without a terminal, and on terminals of 80 and of 120 columns. Ids and times are those of a plane filled by hand
under a clock that is told when to move; folders and versions are written as their names. After a wanted change:
`pytest tests/integration/test_screens.py --rebuild-golden`, then read the diff.
"""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path

import pytest

from ofs_spark.cli import build_parser, main
from tests.acceptance.test_ownership import list_commands
from tests.worlds.published import Shelf, make_shelf

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "console" / "screens"
MODES = {"": None, ".80": 80, ".120": 120}
"""How a golden file ends before its `.txt` → columns of the terminal, None where there is none."""
FIRST, SECOND = (f"dm_{'0123456789abcdef' * 2}", f"dm_{'fedcba9876543210' * 2}")
RUN = f"{1:032x}"
SCREENS: dict[str, tuple[str, ...]] = {
    "no command": (),
    "unknown command": ("rebuild",),
    "missing argument": ("build",),
    "version": ("--version",),
    "status": ("status", "--wiring", "{wiring}"),
    "status of a run": ("status", RUN[:31] + "1", "--wiring", "{wiring}"),
    "status of nothing": ("status", "--wiring", "{empty}"),
    "datasets": ("datasets", "--wiring", "{wiring}"),
    "datasets of nothing": ("datasets", "--wiring", "{empty}", "--quiet"),
    "show": ("show", SECOND[:10], "--wiring", "{wiring}"),
    "ledger list": ("ledger", "list", "--wiring", "{wiring}"),
    "ledger show": ("ledger", "show", RUN, "--wiring", "{wiring}"),
    "cancel what is done": ("cancel", RUN, "--wiring", "{wiring}"),
    "no such dataset": ("show", "dm_99999999", "--wiring", "{wiring}"),
    "no such run": ("status", "99999999", "--wiring", "{wiring}"),
    "several runs": ("status", "000000", "--wiring", "{wiring}"),
    "no such file": ("build", "{folder}/nowhere.json"),
    "no such wiring": ("status", "--wiring", "{folder}/nowhere.yaml"),
    "no such root": ("status", "--wiring", "{rootless}"),
    **{f"help {command}": (*command.split(), "--help") for command in ["", *list_commands(build_parser())]},
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Shelf]]:
    """Planes by name, and the folder that holds them."""
    folder = tmp_path_factory.mktemp("screens")
    made = {name: make_shelf(folder / name) for name in ("wiring", "empty", "rootless")}
    made["wiring"].publish(1, FIRST)
    made["wiring"].publish(184_000, SECOND)
    made["wiring"].supersede(FIRST, SECOND)
    (folder / "rootless" / "objects").rmdir()
    return folder, made


def see(arguments: tuple[str, ...], columns: int | None) -> str:
    """Everything that one command shows."""
    out, err = (io.StringIO() if columns is None else Terminal() for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", str(columns or 60))  # without a terminal nobody asks
        patch.setenv("NO_COLOR", "1")
        patch.delenv("OFS_WIRING", raising=False)
        patch.setattr("sys.argv", ["ofs"])
        try:
            status: object = main(arguments)
        except SystemExit as ended:
            status = ended.code
    return f"{out.getvalue()}--- standard error\n{err.getvalue()}--- exit {status or 0}\n"


def make_neutral(text: str, folder: Path) -> str:
    """The text without what differs from machine to machine, and from release to release."""
    neutral = text.replace(str(folder), "/planes").replace(f"ofs {version('ofs-spark')}", "ofs VERSION")
    return re.sub(r"ofs-spark-\S+", "RELEASE", neutral)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_is_the_golden_one(
    name: str, mode: str, shelves: tuple[Path, dict[str, Shelf]], request: pytest.FixtureRequest
) -> None:
    folder, made = shelves
    places = {"{folder}": str(folder), **{f"{{{plane}}}": str(shelf.wiring) for plane, shelf in made.items()}}
    arguments = SCREENS[name]
    for place, path in places.items():
        arguments = tuple(one.replace(place, path) for one in arguments)
    shown = f"$ {' '.join(('ofs', *SCREENS[name]))}\n{make_neutral(see(arguments, MODES[mode]), folder)}"
    file = GOLDEN / f"{name.strip().replace(' ', '_')}{mode}.txt"
    if request.config.getoption("--rebuild-golden"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_screen_is_one_that_is_shown() -> None:
    known = {f"{name.strip().replace(' ', '_')}{mode}.txt" for name in SCREENS for mode in MODES}
    assert {path.name for path in GOLDEN.glob("*.txt")} == known
