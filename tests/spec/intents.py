"""Intents to vary, and how: shared by the tests of identity and of admission."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.errors import Refusal
from ofs_spark.intent.model import V0, V1, Intent
from ofs_spark.intent.validate import read_intent

ROOT = Path(__file__).parents[2]
BASE = json.loads((ROOT / f"contracts/examples/valid/{V0}/training.json").read_text())
BASE_V1 = json.loads((ROOT / f"contracts/examples/valid/{V1}/per_event.json").read_text())
DROP = "<dropped>"


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


def intent(document: Any) -> Intent:
    return read_intent(raw(document))


def admitted(document: Any) -> Intent:
    """As `ofs build` reads it."""
    return read_intent(raw(document), "build")


def edited(document: dict[str, Any], pointer: str, value: Any) -> dict[str, Any]:
    changed = deepcopy(document)
    *parents, last = [int(part) if part.isdecimal() else part for part in pointer.split("/")[1:]]
    at: Any = changed
    for part in parents:
        at = at[part]
    if value == DROP:
        del at[last]
    else:
        at[last] = value
    return changed


def refused(action: Callable[[], Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        action()
    return caught.value
