"""Where a store's objects are on S3: the bucket, the prefix, and how both are reached. Asks nothing of the store."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.paths import check_relative
from ofs_spark.foundation.wiring import StoreSettings

SCHEME = "s3://"
USES = frozenset({"objects.endpoint", "objects.region", "objects.path_style"})
"""The wiring keys that say how a bucket is reached."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_ANY_REGION = "us-east-1"
"""What requests to a store with an endpoint of its own are signed for, where no region is stated."""


class UnfitPlaceError(ValueError):
    """An address or a setting that no bucket can have. It says what was found, and shows no value."""

    def __init__(self, key: str, found: str) -> None:
        super().__init__(key, found)
        self.key, self.found = key, found


@dataclass(frozen=True)
class S3Place:
    """A bucket's part below a prefix ("" for all of it). endpoint: "" for AWS' own."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    path_style: bool

    @property
    def root(self) -> str:
        """The address that every object's begins with, without a `/` at its end."""
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def has_open_way(self) -> bool:
        """Whether objects travel unencrypted over a network."""
        return self.endpoint.startswith("http://") and not _is_loopback(urlsplit(self.endpoint).hostname or "")


def resolve_root(root: str) -> str:
    """The address of a bucket's part in its one spelling. UnfitPlaceError for one that is none."""
    bucket, _, prefix = root.removeprefix(SCHEME).partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise UnfitPlaceError("", "no s3://bucket/prefix: a bucket's name has 3 to 63 of a-z, 0-9, - and .")
    prefix = prefix.removesuffix("/")
    try:
        return f"{SCHEME}{bucket}/{'/'.join(check_relative(prefix))}" if prefix else f"{SCHEME}{bucket}"
    except Refusal:
        raise UnfitPlaceError("", "no s3://bucket/prefix: a prefix is a path of printable characters") from None


def read_place(root: str, settings: StoreSettings) -> S3Place:
    """The place at an address, its settings completed from the environment.

    The region is that of the wiring, else AWS_REGION or AWS_DEFAULT_REGION; a store with an endpoint of its own needs
    none. The bucket stands in the path where an endpoint is stated, unless the wiring says otherwise.
    """
    bucket, _, prefix = resolve_root(root).removeprefix(SCHEME).partition("/")
    endpoint = _read_endpoint(settings.endpoint) if settings.endpoint else ""
    region = settings.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    if not region and not endpoint:
        raise UnfitPlaceError("objects.region", "not stated, and neither AWS_REGION nor AWS_DEFAULT_REGION is set")
    if region and not _REGION.fullmatch(region):
        raise UnfitPlaceError("objects.region", "no name of a region: it has a-z, 0-9 and -")
    path_style = bool(endpoint) if settings.path_style is None else settings.path_style
    return S3Place(bucket, prefix, endpoint, region or _ANY_REGION, path_style)


def _read_endpoint(stated: str) -> str:
    """The endpoint as scheme, host and port."""
    try:
        parts = urlsplit(stated)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or not stated.isprintable():
        raise UnfitPlaceError("objects.endpoint", "no address of a store: it is http:// or https://, a host and a port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
