"""Commands that an answer may tell people to run: templates that rooms give, filled by whoever knows how OFS was called.

A room does not know the program's name, the wiring or where the intent lies. It names the command and, as `Place`, what
stands where; `Caller` knows the rest. What nobody knows leaves no command, never half of one.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Root = Literal["intent", "profiles", "objects", "detail"]
MODULE_FILE = ("ofs_spark", "cli.py")
"""The ends of `called` where Python was told to run the module."""


@dataclass(frozen=True)
class Place:
    """An argument that only the caller, or the refusal's details, can fill.

    intent: the intent's file, as given. profiles, objects: the file at `name`, or at the details' `ref`, below that root.
    detail: the member `name` of the details.
    """

    root: Root
    name: str = ""


@dataclass(frozen=True)
class Next:
    """A command of `ofs` with its arguments. Without a command: the same command line once more.

    program: another one than `ofs`, with the options that stand before the command. do: what a person must do, where that
    is more exact than what the code's entry in the table says.
    """

    command: str = ""
    arguments: tuple[str | Place, ...] = ()
    program: tuple[str, ...] = ()
    do: str = ""


INTENT = Place("intent")
AGAIN = Next()
BUILD, VALIDATE, STATUS = Next("build", (INTENT,)), Next("validate", (INTENT,)), Next("status")
STATUS_OF_RUN = Next("status", (Place("detail", "run_key"),))
RETRY_PUBLISH = Next("retry-publish", (Place("detail", "run_key"),))
SHOW = Next("show", (Place("detail", "ref"),))
BACKFILL = Next(
    "backfill",
    (
        *(INTENT, "--supersedes", Place("detail", "ref"), "--reason", "PINS_CHANGED"),
        *("--request-id", Place("detail", "new_request_id")),
    ),
)
SHOW_MANIFEST = Next("show", (Place("detail", "manifest_ref"),))


def _locate_nothing(_root: str, _ref: str) -> str:
    return ""


def _repeat_ref(_root: str, ref: str) -> str:
    return ref


@dataclass
class Caller:
    """How OFS was called: program and options for every command, the whole line, the intent's path as given.

    `locate`: (root, ref) → the path of a file that is there, "" for none. `address`: (root, ref) → where the object stands or
    must stand, "" for a ref that no root has. `builds`: the line itself builds, compares or rebuilds from the intent, and is
    what that is repeated by. `where`: as `wiring.describe_where`, as far as it is known yet.
    """

    program: tuple[str, ...] = ("ofs",)
    line: tuple[str, ...] = ()
    intent: str = ""
    locate: Callable[[str, str], str] = _locate_nothing
    builds: bool = False
    address: Callable[[str, str], str] = _repeat_ref
    where: dict[str, str] = field(default_factory=dict)

    def write(self, template: Next, details: Mapping[str, Any]) -> str:
        """The command line of a template, ready to be run in a shell; "" where a part of it is unknown."""
        if not template.command or (self.builds and template == BUILD):
            return shlex.join(self.line)
        filled = [one if isinstance(one, str) else self._fill(one, details) for one in template.arguments]
        return shlex.join([*(template.program or self.program), template.command, *filled]) if all(filled) else ""

    def _fill(self, place: Place, details: Mapping[str, Any]) -> str:
        if place.root == "intent":
            return name_file(self.intent)
        if place.root == "detail":
            found = details.get(place.name)
            return found if isinstance(found, str) and not found.startswith("-") else ""
        ref = place.name or details.get("ref")
        return self.locate(place.root, ref) if isinstance(ref, str) else ""


def name_file(path: str) -> str:
    """A path as an argument that no parser takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def name_program(called: str, interpreter: str = "") -> tuple[str, ...]:
    """The `ofs` that was called, as it can be typed: `called` is its path as the process was given it.

    interpreter: the Python that was told to run the module, as it was typed; "" where none was.
    """
    if Path(called).parts[-2:] == MODULE_FILE and interpreter:
        return (interpreter, "-m", "ofs_spark.cli")
    if Path(called).name != "ofs":
        return ("ofs",)
    found = shutil.which("ofs")
    return ("ofs" if found and Path(found).absolute() == Path(called).absolute() else called,)


NOBODY = Caller()
"""A caller inside the process: it knows no more than the refusal does."""
