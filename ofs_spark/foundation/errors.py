"""Every way OFS says no: one exception tree. `codes.py` has the one table of codes.

    OfsError
    ├── Refusal                 a rule said no; carries a code of the table below
    │   ├── IntentRefused       exit 10   the request itself
    │   ├── PinsRefused         exit 20   what the run means cannot be resolved
    │   ├── ReplayRefused       exit 30   the facts cannot be proven
    │   ├── LabelsRefused       exit 40   the labels do not carry the dataset
    │   ├── FeaturesRefused     exit 50   a value or a window cannot be computed exactly
    │   ├── PublishRefused      exit 60   the dataset cannot be made real
    │   ├── ParityRefused       exit 70, 71
    │   └── EnvironmentUnfit    exit 80   this machine or wiring cannot run OFS
    └── InternalError           exit 1    a defect of OFS itself

Exceptions are plain classes whose constructor arguments are their state, so they survive pickling between
processes. Exit statuses 2 (usage) and 130/143 (signals) belong to the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ofs_spark.foundation.codes import CODES, find_turn
from ofs_spark.foundation.commands import NOBODY, Caller, Next

WIRED = "correct the wiring at this place, or mend what it names there, as the message says"
"""What `do` says where its place is in the wiring."""
CHANGED = "; a changed intent takes a new `request_id`"
"""What `do` adds where its place is in the intent: the run that was refused stands for the intent as it was."""


class OfsError(Exception):
    """Base of everything OFS raises on purpose."""


class InternalError(OfsError):
    """A broken promise inside OFS: never the user's fault."""


class Refusal(OfsError):
    """A rule said no. `details` is JSON-ready.

    next_command: what to run now, None to leave it to the code's entry in the table.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        next_command: Next | None = None,
    ) -> None:
        super().__init__(code, message, dict(details or {}), next_command)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.next_command = next_command
        self._told: tuple[str, dict[str, str]] | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def next(self) -> str:
        """The command to run now, as whoever called OFS can type it; "" where none helps."""
        return self._told[0] if self._told else self.write_next(NOBODY)

    @property
    def do(self) -> dict[str, str]:
        """What a person must do, as `describe_do`."""
        return self._told[1] if self._told else self.describe_do(NOBODY)

    def tell(self, caller: Caller) -> None:
        """Has `next` and `do` say what `caller` can type, and a traceback show both."""
        self._told = self.write_next(caller), self.describe_do(caller)
        self.add_note(f"do:   {self.do['text']}")
        if self.next:
            self.add_note(f"next: {self.next}")

    @property
    def exit_status(self) -> int:
        """Process exit status of this code."""
        return CODES[self.code].exit_status

    def to_document(self, caller: Caller = NOBODY) -> dict[str, Any]:
        """The refusal as the JSON object programs read, its command as `caller` can run it."""
        code = CODES[self.code]
        return {
            "outcome": "REFUSED",
            "code": self.code,
            "room": code.room,
            "message": self.message,
            "details": self.details,
            "retryable": code.retryable,
            "next": self.write_next(caller),
            "do": self.describe_do(caller),
            **({"where": dict(caller.where)} if caller.where else {}),
        }

    def write_next(self, caller: Caller) -> str:
        """The command to run now, ready for a shell; "" where none helps, or none can be written out."""
        own = CODES[self.code].next if self.next_command is None else (self.next_command,)
        return next(filter(None, (caller.write(template, self.details) for template in own)), "")

    def describe_do(self, caller: Caller) -> dict[str, str]:
        """What a person must do {text}, and in which file and at which place of it where the refusal names them.

        It is the place of the first fault: inside the document that the fault's `ref` names, else in the intent or, of the
        environment's codes, in the wiring. A refusal that points nowhere, as its code neither, names the object it is about.
        """
        code, (file, pointer) = CODES[self.code], self._find_place(caller)
        place = {"file": file, "pointer": pointer}
        is_changed = file == caller.intent != "" and code.room != "intent" and "request_id" not in code.do
        own = "" if self.next_command is None else self.next_command.do
        meant = WIRED if code.room == "environment" and pointer else code.do
        text = (own or meant) + (CHANGED if is_changed else "")
        return {"text": text, **{name: value for name, value in place.items() if value}}

    def _find_place(self, caller: Caller) -> tuple[str, str]:
        """(file, pointer), each "" where nothing names it."""
        code = CODES[self.code]
        first: Mapping[str, Any] = next((one for one in self.details.get("faults", ()) if isinstance(one, dict)), {})
        inside = str(first.get("pointer") or "")
        if first.get("ref"):
            return caller.address(code.root, str(first["ref"])), inside
        if code.room == "environment":
            own = str(first.get("file") or self.details.get("file") or "")
            pointer = str(self.details.get("pointer") or inside)
            if own or pointer:
                return own or caller.where.get("wiring", ""), pointer
        pointer = str(self.details.get("pointer") or inside or code.pointer)
        if pointer and caller.intent:
            return caller.intent, pointer
        named = (first.get("file"), *(self.details.get(name) for name in ("ref", "path")))
        ref = next((str(one) for one in named if one), "")
        return (caller.address(code.root, ref), "") if ref else ("", pointer)


class IntentRefused(Refusal):
    """The request itself is inadmissible."""


class PinsRefused(Refusal):
    """What the run means cannot be resolved or differs from what is pinned."""


class ReplayRefused(Refusal):
    """The archived facts are missing, contradictory or unprovable."""


class LabelsRefused(Refusal):
    """Labels are absent, invalid, leaking or below policy."""


class FeaturesRefused(Refusal):
    """A feature cannot be computed exactly from these values."""


class PublishRefused(Refusal):
    """The dataset cannot be made real."""


class ParityRefused(Refusal):
    """Offline does not equal online, or cannot be compared."""


class EnvironmentUnfit(Refusal):
    """This machine or wiring cannot run OFS."""


_ROOMS: dict[str, type[Refusal]] = {
    "intent": IntentRefused,
    "pins": PinsRefused,
    "replay": ReplayRefused,
    "labels": LabelsRefused,
    "features": FeaturesRefused,
    "publish": PublishRefused,
    "parity": ParityRefused,
    "environment": EnvironmentUnfit,
}


MOST_SHOWN = 200
"""Characters of a name or an id that somebody else chose, where it is told."""


def show_text(text: str) -> str:
    """A text of others as messages and samples show it: what cannot be printed is escaped, what is too long is cut."""
    shown = text[: MOST_SHOWN + 1]
    shown = shown if shown.isprintable() else repr(shown)[1:-1]
    return shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"


def sort_refusals(refusals: Iterable[Refusal]) -> list[Refusal]:
    """The refusals in the order of telling, which is the table's; equals in the order given."""
    return sorted(refusals, key=lambda refusal: find_turn(refusal.code))


def refuse(code: str, message: str, next_command: Next | None = None, /, **details: Any) -> Refusal:
    """The exception of `code`'s room, ready to raise; an unknown code is a defect of OFS.

    next_command: a command to run that is more exact than the table's.
    """
    if code not in CODES:
        raise InternalError(f"code {code} is not in the table")
    return _ROOMS[CODES[code].room](code, message, details, next_command)
