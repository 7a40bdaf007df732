"""Every exception has an owner: the refusal that an error of the outside stands for, and what a process answers at its end.

Adapters map what their libraries raise where they call them. What no adapter may decide, such as an unanswered call or
memory that ran out in the middle of a room, comes here. What has no owner is a defect of OFS: INTERNAL.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any, Literal

from ofs_spark.foundation.commands import NOBODY, Caller
from ofs_spark.foundation.errors import InternalError, Refusal, refuse
from ofs_spark.foundation.ports import ObjectMissing, ObjectTooLarge
from ofs_spark.foundation.wording import write_count

Reason = Literal["INTERNAL", "USAGE", "INTERRUPTED", "CANCELLED"]

EXIT_INTERNAL, EXIT_USAGE, EXIT_HANGUP, EXIT_INTERRUPTED, EXIT_CANCELLED = 1, 2, 129, 130, 143
MOST_CANDIDATES = 20
"""Ids that are listed where the beginning of one was not enough."""
MOST_CHARACTERS = 1_000
"""Of the message of an exception that is not ours: it may hold anything."""

_DENIED = frozenset({errno.EACCES, errno.EPERM})
_NO_PLACE = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ})
_UNABLE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EMLINK, errno.EMFILE, errno.ENFILE),
        *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ENOTEMPTY),
        *(errno.ETXTBSY, errno.EOPNOTSUPP),
    }
)


class Stopped(BaseException):
    """Somebody told this process to end: what is under way ends in order.

    manifest_ref: the dataset that stands by then; message: who told it.
    """

    def __init__(
        self, exit_status: int = EXIT_CANCELLED, manifest_ref: str = "", message: str = "a signal ended this process"
    ) -> None:
        super().__init__(exit_status, manifest_ref, message)
        self.exit_status, self.manifest_ref, self.message = exit_status, manifest_ref, message


class PublishedDefectError(InternalError):
    """A defect of OFS, its cause, after the dataset at `manifest_ref` was published."""

    def __init__(self, manifest_ref: str) -> None:
        super().__init__(manifest_ref)
        self.manifest_ref = manifest_ref


class WrongArgument(Exception):
    """Wrong use that only the data shows: an argument names nothing that is there."""


def refuse_ambiguous(text: str, what: str, candidates: Sequence[str]) -> WrongArgument:
    """Wrong use, ready to raise: the beginning of an id stands for several, which are listed. what: plural."""
    more = [f"and {len(candidates) - MOST_CANDIDATES} more"] if len(candidates) > MOST_CANDIDATES else []
    listed = ", ".join([*candidates[:MOST_CANDIDATES], *more])
    return WrongArgument(f"{len(candidates)} {what} begin with {text}: {listed}")


def is_unanswered(error: OSError) -> bool:
    """Whether an operating-system error leaves open what happened: no definite no, as of a full disk, but silence."""
    return error.errno not in _DENIED | _NO_PLACE | _UNABLE | {errno.ENOMEM}


def refuse_os_error(error: OSError, what: str, **details: Any) -> Refusal:
    """The refusal of an operating-system error: it may not, or it cannot. `what` names the thing, never a secret."""
    found = error.strerror or "no answer"
    if error.errno in _DENIED:
        return refuse("REF_ACCESS_DENIED", f"{what}: this process may not: {found}", **details)
    if error.errno in _NO_PLACE:
        return refuse("REF_SCOPE_INVALID", f"{what}: no file can have this name: {found}", **details)
    if error.errno == errno.ENOMEM:
        return refuse("RESOURCE_EXCEEDED", f"{what}: {found}", **details)
    return refuse("ENVIRONMENT_UNFIT", f"{what}: {found}", **details)


def find_owner(error: BaseException) -> Refusal | None:
    """The refusal that an exception is or stands for; None for a defect, an interrupt and a stop."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ObjectTooLarge):
        message = f"{error.ref} has {write_count(error.found, 'byte')}; at most {error.allowed:,} are read"
        return refuse("RESOURCE_EXCEEDED", message, ref=error.ref, found=error.found, allowed=error.allowed)
    if isinstance(error, ObjectMissing):
        return refuse("REF_ACCESS_DENIED", f"{error}: there is no object at this ref", ref=str(error))
    if isinstance(error, MemoryError):
        return refuse("RESOURCE_EXCEEDED", "memory ran out; give more, or shorten the basis")
    if isinstance(error, ImportError) and not (error.name or "").startswith("ofs_spark"):
        name = (error.name or "a library").partition(".")[0]
        return refuse("ENVIRONMENT_UNFIT", f"{name} could not be loaded: it is not installed whole, or memory ran out")
    if isinstance(error, OSError):
        return refuse_os_error(error, "this machine or a store could not be used")
    return None


def describe_end(error: BaseException, caller: Caller = NOBODY) -> dict[str, Any]:
    """The answer of what ended with an exception: the document of its refusal, or of a failure."""
    owner = find_owner(error)
    if owner is not None:
        return owner.to_document(caller)
    stands = error.manifest_ref if isinstance(error, Stopped | PublishedDefectError) else ""
    where = {"where": dict(caller.where)} if caller.where else {}
    if isinstance(error, Stopped):
        reason: Reason = "CANCELLED" if error.exit_status == EXIT_CANCELLED else "INTERRUPTED"
        return {**compose_failure(reason, error.message, error.exit_status, stands), **where}
    if isinstance(error, WrongArgument):
        return {**compose_failure("USAGE", str(error), EXIT_USAGE), **where}
    if isinstance(error, KeyboardInterrupt):
        return {**compose_failure("INTERRUPTED", "the process was interrupted", EXIT_INTERRUPTED), **where}
    defect = (error.__cause__ or error) if stands else error
    message = f"{type(defect).__name__}: {defect}"
    if len(message) > MOST_CHARACTERS:
        message = f"{message[:MOST_CHARACTERS]} …"
    return {**compose_failure("INTERNAL", message, EXIT_INTERNAL, stands), **where}


def compose_failure(reason: Reason, message: str, exit_status: int, manifest_ref: str = "") -> dict[str, Any]:
    """The answer of an end that is no refusal. manifest_ref: the dataset that stands nevertheless, "" for none."""
    stands = {"manifest_ref": manifest_ref} if manifest_ref else {}
    return {"outcome": "FAILED", "reason": reason, "message": message, "exit_status": exit_status, **stands}
