"""One Delta commit of exactly the files that workers wrote: version 0 of a table no other attempt uses."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from deltalake import CommitProperties, Schema
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions

from ofs_spark.foundation.ends import is_unanswered, refuse_os_error
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.refs import name_table_commit
from ofs_spark.io.objects.s3_client import UNFIT
from ofs_spark.pins.columns import Column
from ofs_spark.publish.delta_log import CONFIGURATION, describe_schema, describe_statistics
from ofs_spark.publish.model import FileEntry

_S3 = "s3://"
_ANSWERED = re.compile(r"<Code>(\w{1,100})</Code>")
_STANDS = re.compile(r"already exists|Invalid table version")
_UNSENT = "client error (Connect)"


@dataclass(frozen=True)
class DeltaTables:
    """Commits Delta tables. `storage_options` are those of delta-rs (none for a local folder); they hold credentials."""

    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def create(
        self,
        location: str,
        columns: Sequence[Column],
        files: Sequence[FileEntry],
        name: str,
        description: str,
        metadata: Mapping[str, str],
        committed_ms: int,
    ) -> None:
        """Version 0 of the table at `location` (full address): these files, append-only, reader 1 / writer 2.

        `metadata` goes into the commit's own record. MATERIALIZATION_CORRUPT if the location already has a log: an
        attempt's folder is its own.
        """
        ordered = sorted(files, key=lambda f: f.name)
        adds = [
            AddAction(f.name, f.bytes, {}, committed_ms, True, json.dumps(describe_statistics(f, columns)))
            for f in ordered
        ]
        with _own_errors(location), _name_place(location) as place:
            create_table_with_add_actions(
                place,
                Schema.from_json(json.dumps(describe_schema(columns))),
                adds,
                mode="error",
                name=name,
                description=description,
                configuration=dict(CONFIGURATION),
                storage_options=dict(self.storage_options),
                commit_properties=CommitProperties(custom_metadata=dict(metadata)),
            )


@contextmanager
def _name_place(location: str) -> Iterator[str]:
    """The address that delta-rs is given for a table's folder.

    It reads an address back decoded once too often, so that a folder named `a%2Fb` is looked for as `a/b`. A table in
    such a folder is created aside, and its one log entry, which names no folder, is linked into place. On S3 it reads
    an address as an address, which spells a key with escapes.
    """
    if location.startswith(_S3):
        yield _S3 + quote(location.removeprefix(_S3))
        return
    if "%" not in location:
        yield location
        return
    with tempfile.TemporaryDirectory(prefix="ofs-delta-") as aside:
        yield aside
        made, log = Path(name_table_commit(aside, 0)), Path(name_table_commit(location, 0))
        log.parent.mkdir(parents=True, exist_ok=True)
        copy = log.with_name(f".{log.name}.{os.getpid()}")
        shutil.copyfile(made, copy)
        try:
            os.link(copy, log)
        except FileExistsError as exists:
            raise _refuse_log("a log stands there already") from exists
        finally:
            copy.unlink()


@contextmanager
def _own_errors(location: str) -> Iterator[None]:
    """What delta-rs raises: the machine's errors by their number, anything else as MATERIALIZATION_CORRUPT."""
    try:
        yield
    except (DeltaError, OSError) as failed:
        if location.startswith(_S3):
            raise _judge_s3(failed) from None  # its text holds addresses
        number = re.search(r"os error ([0-9]+)", str(failed))
        if number is not None and not isinstance(failed, FileExistsError):
            cause = OSError(int(number[1]), os.strerror(int(number[1])))
            raise refuse_os_error(cause, "the table's log") from failed
        if isinstance(failed, OSError) and failed.errno is not None and not is_unanswered(failed):
            raise refuse_os_error(failed, "the table's log") from failed
        if isinstance(failed, DeltaError):
            raise _refuse_log(str(failed).replace(location, "its folder")) from failed
        raise


def _judge_s3(failed: Exception) -> Exception:
    """What delta-rs says of a bucket: denied, unfit before anything was sent, refused as a table, or no answer."""
    text, what = str(failed), "the table's log"
    code = found[1] if (found := _ANSWERED.search(text)) else ""
    if code == "AccessDenied" or "necessary privileges" in text:
        return refuse("REF_ACCESS_DENIED", f"{what}: these credentials may not write it, or not list its folder")
    if code in UNFIT or _UNSENT in text:
        return refuse("ENVIRONMENT_UNFIT", f"{what}: {code or 'the endpoint of the object store cannot be reached'}")
    if isinstance(failed, DeltaError):
        return _refuse_log(
            "a log stands there already" if _STANDS.search(text) else "delta-rs takes none of these files"
        )
    return OSError(f"{what}: s3 did not answer its commit{code and f' but with {code}'}")


def _refuse_log(found: str) -> Refusal:
    """No address is shown: it may hold what came from the environment."""
    message = f"Delta refused to create a table: {found}; the folder of a new attempt holds none"
    return refuse("MATERIALIZATION_CORRUPT", message)
