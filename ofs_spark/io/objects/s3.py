"""The object store on any S3 API, below a prefix of one bucket."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ofs_spark.foundation.errors import Refusal, refuse, show_text
from ofs_spark.foundation.paths import check_relative
from ofs_spark.foundation.ports import Listed, ObjectMissing, ObjectTooLarge, Put, Tail
from ofs_spark.foundation.wiring import StoreSettings
from ofs_spark.foundation.wording import write_count
from ofs_spark.io.objects import s3_uploads
from ofs_spark.io.objects.s3_client import find_clients, map_errors, name_code, read_status
from ofs_spark.io.objects.s3_place import S3Place, read_place
from ofs_spark.io.objects.s3_uploads import ConditionFailed, Upload

MOST_KEY = 1024
"""UTF-8 bytes of a key."""
_PIECE = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANGE = re.compile(r"bytes [0-9]+-[0-9]+/([0-9]+)")


@dataclass(frozen=True)
class S3Objects:
    """Objects of a bucket whose keys begin with a prefix.

    Reads, `replace` and `remove` are repeated by the SDK a bounded number of times. Conditional writes are not; the
    first one of a process shows whether the store keeps conditions (`s3_uploads.py`).
    """

    place: S3Place

    @classmethod
    def at(cls, root: str, settings: StoreSettings) -> S3Objects:
        """The store at an address. UnfitPlaceError for an address, or settings, that no bucket can have."""
        return cls(read_place(root, settings))

    def require_root(self) -> None:
        """ENVIRONMENT_UNFIT or REF_ACCESS_DENIED unless the bucket answers, and shows what stands below the prefix.

        Asked with a listing: it may be granted for a prefix alone, and says why it is refused, which HEAD does not.
        """
        named = {"Bucket": self.place.bucket, "Prefix": self._name_folder(""), "MaxKeys": 1}
        with map_errors("objects.root", pointer="/objects/root"):
            self._again.list_objects_v2(**named)

    def read(self, ref: str, most: int) -> bytes:
        """The whole object; its stated length is judged before any of it is read."""
        key = self._name_key(ref)
        with map_errors(f"the object {ref}", ref=ref), closing(self._get(key, ref)) as got:
            if got.length > most:
                raise ObjectTooLarge(ref, got.length, most)
            return got.read()

    def read_tail(self, ref: str, most: int) -> Tail:
        """The object's last bytes, by one ranged GET."""
        key = self._name_key(ref)
        with map_errors(f"the object {ref}", ref=ref):
            try:
                got = self._get(key, ref, Range=f"bytes=-{most}")
            except _NothingThere:
                return Tail(0, b"")
            with closing(got):
                if got.length != min(most, got.size):
                    raise OSError(
                        f"{ref}: s3 gave {write_count(got.length, 'byte')} where the last {most} of {got.size} were asked for"
                    )
                return Tail(got.size, got.read())

    def read_range(self, ref: str, start: int, most: int) -> bytes:
        """Some of the object's bytes, by one ranged GET."""
        key = self._name_key(ref)
        with map_errors(f"the object {ref}", ref=ref):
            try:
                got = self._get(key, ref, Range=f"bytes={start}-{start + most - 1}")
            except _NothingThere:
                return b""
            with closing(got):
                if got.length != min(most, got.size - start):
                    raise OSError(
                        f"{ref}: s3 gave {write_count(got.length, 'byte')}; {most} from {start} of {got.size} were asked for"
                    )
                return got.read()

    def digest(self, ref: str) -> str:
        """SHA-256 of the object, read piece by piece."""
        key, digest = self._name_key(ref), hashlib.sha256()
        with map_errors(f"the object {ref}", ref=ref), closing(self._get(key, ref)) as got:
            for piece in got.read_pieces():
                digest.update(piece)
        return digest.hexdigest()

    def exists(self, ref: str) -> bool:
        """Whether an object stands at `ref`. Without the right to list the bucket, an absent one is denied."""
        from botocore.exceptions import ClientError

        key = self._name_key(ref)
        with map_errors(f"the object {ref}", ref=ref):
            try:
                self._again.head_object(Bucket=self.place.bucket, Key=key)
            except ClientError as error:
                if read_status(error) == 404:
                    return False
                raise
        return True

    def list_below(self, ref: str) -> list[str]:
        """Every object below the folder `ref` that a ref can name."""
        return [one.ref for one in self._list(ref)]

    def put_if_absent(self, ref: str, body: bytes) -> Put:
        """A put on the condition that nothing stands there."""
        try:
            s3_uploads.create(self._prepare(ref, body))
        except ConditionFailed:
            return Put.EXISTS
        return Put.CREATED

    def put_unsynced(self, ref: str, body: bytes) -> Put:
        """The same: what S3 has answered is durable."""
        return self.put_if_absent(ref, body)

    def replace(self, ref: str, body: bytes) -> None:
        """A put without a condition."""
        s3_uploads.write(self._prepare(ref, body))

    def swap(self, ref: str, seen: bytes, body: bytes) -> bool:
        """A put on the condition that the object stands whose bytes were compared."""
        upload = self._prepare(ref, body)
        try:
            with map_errors(f"the object {ref}", ref=ref), closing(self._get(upload.key, ref)) as got:
                if got.length != len(seen) or got.read() != seen:
                    return False
                etag = got.etag
            s3_uploads.swap(upload, seen, etag)
        except (ObjectMissing, ConditionFailed):
            return False
        return True

    def list_folders(self, ref: str) -> list[str]:
        """What stands between the folder's name and the next `/` of any key."""
        folder, found = self._name_folder(ref), list[str]()
        with map_errors(f"the folder {ref}", ref=ref):
            pages = self._again.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=folder, Delimiter="/"):
                found += (one["Prefix"].rstrip("/") for one in page.get("CommonPrefixes", ()))
        return sorted(filter(None, map(self._find_ref, found)))

    def list_objects(self, ref: str) -> list[Listed]:
        """Every object below the folder `ref` that a ref can name, and every upload in parts that nobody completed."""
        below = f"{self._name_key(ref)}/"
        found = {one.ref: one for one in self._list(ref)}
        with map_errors(f"the folder {ref}", ref=ref):
            for one in s3_uploads.list_unfinished(self.place, below):
                inside = self._find_ref(one["Key"])
                if inside:
                    found.setdefault(inside, Listed(inside, 0, _count_micros(one["Initiated"])))
        return [found[name] for name in sorted(found)]

    def remove(self, ref: str) -> None:
        """Removes the object, and gives up its uploads in parts."""
        key = self._name_key(ref)
        with map_errors(f"the object {ref}", sent=True, ref=ref):
            self._again.delete_object(Bucket=self.place.bucket, Key=key)
            s3_uploads.abort_unfinished(self.place, key)

    def relative(self, ref: str) -> str:
        """The checked ref relative to the root. Nothing of an address is decoded."""
        root = f"{self.place.root}/"
        return "/".join(check_relative(ref.removeprefix(root)))

    def locate(self, ref: str) -> str:
        """The `s3://` address of a checked ref; nothing in it is encoded."""
        self._name_key(ref)
        return f"{self.place.root}/{self.relative(ref)}"

    @property
    def _again(self) -> Any:
        return find_clients(self.place).again

    def _name_key(self, ref: str) -> str:
        inside = self.relative(ref)
        key = f"{self.place.prefix}/{inside}" if self.place.prefix else inside
        if len(key.encode()) > MOST_KEY:
            message = f"{show_text(ref)}: its key would have more than {MOST_KEY} bytes"
            raise refuse("REF_SCOPE_INVALID", message, ref=show_text(ref))
        return key

    def _name_folder(self, ref: str) -> str:
        """What every key below a folder begins with."""
        if ref:
            return f"{self._name_key(ref)}/"
        return f"{self.place.prefix}/" if self.place.prefix else ""

    def _find_ref(self, key: str) -> str:
        """The ref of a key below the root; "" where no ref can name it, as of the folders that consoles make."""
        inside = key.removeprefix(self._name_folder(""))
        try:
            return "/".join(check_relative(inside))
        except Refusal:
            return ""

    def _prepare(self, ref: str, body: bytes) -> Upload:
        return Upload(self.place, self._name_key(ref), body, f"the object {ref}")

    def _list(self, ref: str) -> list[Listed]:
        below, found = f"{self._name_key(ref)}/", []
        with map_errors(f"the folder {ref}", ref=ref):
            pages = self._again.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=below):
                for one in page.get("Contents", ()):
                    inside = self._find_ref(one["Key"])
                    if inside:
                        found.append(Listed(inside, one["Size"], _count_micros(one["LastModified"])))
        return sorted(found, key=lambda one: one.ref)

    def _get(self, key: str, ref: str, **asked: str) -> _Got:
        """An object's answer, its body unread. ObjectMissing; _NothingThere where a range was asked for that it has not."""
        from botocore.exceptions import ClientError

        try:
            return _Got(ref, self._again.get_object(Bucket=self.place.bucket, Key=key, **asked))
        except ClientError as error:
            if name_code(error) in ("NoSuchKey", "404"):
                raise ObjectMissing(ref) from None
            if read_status(error) == 416:
                raise _NothingThere from None
            raise


class _NothingThere(Exception):
    """A range of an object was asked for that has no bytes."""


class _Got:
    """The answer of a GET. length: bytes of its body; size: of the whole object."""

    def __init__(self, ref: str, answer: Mapping[str, Any]) -> None:
        self._ref, self._body = ref, answer["Body"]
        self.etag: str = answer.get("ETag", "")
        length = answer.get("ContentLength")
        if length is None:
            self.close()
            raise OSError(f"{ref}: s3 did not say how long the object is")
        whole = _RANGE.fullmatch(answer.get("ContentRange", ""))
        self.length, self.size = int(length), int(whole[1]) if whole else int(length)

    def read_pieces(self) -> Iterator[bytes]:
        """The body piece by piece; OSError unless it is as long as was said."""
        left = self.length
        while piece := self._body.read(_PIECE):
            left -= len(piece)
            yield piece
        if left:
            raise OSError(f"{self._ref}: s3 gave {self.length - left} of {write_count(self.length, 'byte')}")

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.read_pieces())

    def close(self) -> None:
        """Lets the connection go."""
        self._body.close()


def _count_micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
