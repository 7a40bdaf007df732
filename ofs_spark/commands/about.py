"""Commands about the command itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ofs_spark.commands.command import AddCommand, Answer, answer

SHELLS = ("bash", "zsh", "fish")
FOLDERS = ("policy", "folder")
"""Arguments that name a folder."""


def add_commands(add: AddCommand) -> None:
    """completion."""
    add(answer_completion).add_argument("shell", choices=SHELLS, help="For which shell.")


def answer_version(options: argparse.Namespace) -> int:
    """Shows the version of the package, and the release that intents and manifests state."""

    def run() -> Answer:
        """Both."""
        from ofs_spark.foundation.config import read_code_release, read_version

        return {"version": read_version(), "code_release": read_code_release()}

    return answer(options, run, people=lambda found: _print_text(f"ofs {found['version']}"))


def answer_completion(options: argparse.Namespace) -> int:
    """Prints a script that completes commands, options and files in a shell."""

    def run() -> Answer:
        """The script."""
        import shtab  # what generates it, for this command alone

        for action in _list_actions(options.parser):
            if action.type is Path:
                vars(action)["complete"] = shtab.DIRECTORY if action.dest in FOLDERS else shtab.FILE
        return {"shell": options.shell, "script": shtab.complete(options.parser, options.shell)}

    return answer(options, run, people=lambda found: _print_text(found["script"].rstrip("\n")))


def _list_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every option and argument of a parser and of those below it."""
    for action in parser._actions:
        yield action
        below: Any = action.choices if isinstance(action, argparse._SubParsersAction) else {}
        for one in below.values():
            yield from _list_actions(one)


def _print_text(text: str) -> None:
    sys.stdout.write(f"{text}\n")
