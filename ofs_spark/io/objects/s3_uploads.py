"""Writes to S3: whole or not at all, each with its SHA-256, and on a condition where one is asked for.

A call on a condition is sent once. What the SDK would send again after a lost answer would meet its own object and be
told that another one stands there.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from ofs_spark.foundation.errors import refuse
from ofs_spark.io.objects.s3_client import CONFLICTS, Clients, find_clients, map_errors, name_code, read_status
from ofs_spark.io.objects.s3_place import S3Place

Answer = TypeVar("Answer")

MOST_AT_ONCE = 64 << 20
"""Bytes of an object that is sent in one call; a larger one is sent in parts, and appears when it is complete."""
PART = 16 << 20
_MOST_PARTS = 10_000
CONFLICT_PAUSES_S = (0.05, 0.2, 0.8, 2.0)
"""Pause after each call of which nothing landed, because it met another one."""
_NO_ETAG = '"00000000000000000000000000000000"'

_PROVEN: set[tuple[S3Place, str]] = set()
"""Places of which this process has seen that they keep a condition."""


class ConditionFailed(Exception):
    """What stands in the store is not what the call asked for; nothing was written."""


@dataclass(frozen=True)
class Upload:
    """One object to write: its key, its bytes, and what names it in messages."""

    place: S3Place
    key: str
    body: bytes
    what: str

    @property
    def clients(self) -> Clients:
        """The clients of this process."""
        return find_clients(self.place)


def create(upload: Upload) -> None:
    """Writes unless something stands there: ConditionFailed.

    The first object that this process creates at a place is put once more, on the same condition, which a store that
    keeps conditions refuses. ENVIRONMENT_UNFIT for one that does not: equal bytes have replaced each other.
    """
    if len(upload.body) > MOST_AT_ONCE:
        _send_parts(upload, IfNoneMatch="*")
        return
    try:
        _put_once(upload, IfNoneMatch="*")
    except ConditionFailed:
        _PROVEN.add((upload.place, "IfNoneMatch"))
        raise
    _require_kept(upload, IfNoneMatch="*")


def swap(upload: Upload, seen: bytes, etag: str) -> None:
    """Writes over the object that has this ETag: ConditionFailed if another one stands there, or none."""
    _require_kept(Upload(upload.place, upload.key, seen, upload.what), IfMatch=_NO_ETAG)
    if len(upload.body) > MOST_AT_ONCE:
        _send_parts(upload, IfMatch=etag)
    else:
        _put_once(upload, IfMatch=etag)


def write(upload: Upload) -> None:
    """Writes over whatever stands there."""
    if len(upload.body) > MOST_AT_ONCE:
        _send_parts(upload)
        return
    with map_errors(upload.what, sent=True):
        upload.clients.again.put_object(**_describe(upload), Body=upload.body, ChecksumSHA256=_digest(upload.body))


def list_unfinished(place: S3Place, prefix: str) -> Iterator[dict[str, Any]]:
    """The uploads in parts, below a prefix of keys, that were neither completed nor aborted."""
    pages = find_clients(place).again.get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=place.bucket, Prefix=prefix):
        yield from page.get("Uploads", ())


def abort_unfinished(place: S3Place, key: str) -> None:
    """Gives up every upload in parts of an object."""
    for one in list_unfinished(place, key):
        if one["Key"] == key:
            _abort(find_clients(place), {"Bucket": place.bucket, "Key": key}, one["UploadId"])


def _require_kept(upload: Upload, **condition: str) -> None:
    """ENVIRONMENT_UNFIT if the store writes though a condition does not hold; asked once by each process and place."""
    (name,) = condition
    proof = (upload.place, name)
    if proof in _PROVEN:
        return
    try:
        _put_once(upload, **condition)
    except ConditionFailed:
        _PROVEN.add(proof)
        return
    header = {"IfNoneMatch": "If-None-Match", "IfMatch": "If-Match"}[name]
    message = f"the object store ignores the condition {header}: of racing writers more than one would win"
    raise refuse("ENVIRONMENT_UNFIT", f"{message}; name a store that keeps it", pointer="/objects/root")


def _put_once(upload: Upload, **condition: str) -> None:
    """One conditional put, sent again only after an answer that says that nothing of it landed."""

    def put() -> None:
        """One call."""
        named = {**_describe(upload), "ChecksumSHA256": _digest(upload.body)}
        upload.clients.once.put_object(**named, Body=upload.body, **condition)

    _repeat_conflicts(put, upload.what)


def _send_parts(upload: Upload, **condition: str) -> None:
    """The object in parts; the condition is that of the call which makes one object of them."""
    size = max(PART, -(-len(upload.body) // _MOST_PARTS))

    def send() -> None:
        """One upload, from its start: after a conflict the parts of the old one count no more."""
        with _open_upload(upload) as number:
            parts = [_send_part(upload, number, at // size, size) for at in range(0, len(upload.body), size)]
            named = {"Bucket": upload.place.bucket, "Key": upload.key, "UploadId": number}
            upload.clients.once.complete_multipart_upload(**named, MultipartUpload={"Parts": parts}, **condition)

    _repeat_conflicts(send, upload.what)


@contextmanager
def _open_upload(upload: Upload) -> Iterator[str]:
    """An upload in parts, by its number; given up if it is not completed, whatever ends it."""
    number = upload.clients.again.create_multipart_upload(**_describe(upload))["UploadId"]
    try:
        yield number
    except BaseException:
        _abort(upload.clients, {"Bucket": upload.place.bucket, "Key": upload.key}, number)
        raise


def _send_part(upload: Upload, number: str, index: int, size: int) -> dict[str, Any]:
    body = upload.body[index * size : (index + 1) * size]
    named = {"Bucket": upload.place.bucket, "Key": upload.key, "UploadId": number, "PartNumber": index + 1}
    checksum = _digest(body)
    sent = upload.clients.again.upload_part(**named, Body=body, ChecksumSHA256=checksum)
    return {"ETag": sent["ETag"], "PartNumber": index + 1, "ChecksumSHA256": checksum}


def _abort(clients: Clients, named: dict[str, str], number: str) -> None:
    """Whatever goes wrong here hides nothing that went before: a bucket's own rule clears what is left."""
    with suppress(Exception):
        clients.again.abort_multipart_upload(**named, UploadId=number)


def _repeat_conflicts(call: Callable[[], None], what: str) -> None:
    """The call until it meets no other one. ConditionFailed; OSError if it meets one each time, nothing of it landed."""
    from botocore.exceptions import ClientError

    for pause in (*CONFLICT_PAUSES_S, None):
        with map_errors(what):
            try:
                return call()
            except ClientError as error:
                if read_status(error) == 412 or name_code(error) in ("NoSuchKey", "404"):
                    raise ConditionFailed from None
                if name_code(error) not in CONFLICTS or pause is None:
                    raise
        time.sleep(pause)
    raise AssertionError  # the last turn returns or raises


def _describe(upload: Upload) -> dict[str, str]:
    return {"Bucket": upload.place.bucket, "Key": upload.key, "ChecksumAlgorithm": "SHA256"}


def _digest(body: bytes) -> str:
    """A body's SHA-256 as S3 spells it: with it in the header, no store is asked for trailers of a body in chunks."""
    return b64encode(sha256(body).digest()).decode("ascii")
