"""Clients of S3, one pair for each process and way to a store, and what their errors mean.

boto3 is loaded when the first client is made: a process that asks no bucket does without.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from ofs_spark.foundation.errors import Refusal, refuse, show_text
from ofs_spark.io.objects.s3_place import S3Place

CONNECT_S, READ_S = 5, 60
"""Seconds until a call counts as unanswered."""
READ_ATTEMPTS = 4
"""Of calls that change nothing, or may be done twice; the SDK waits longer before each."""
_CONNECTIONS = 64

UNFIT = frozenset(
    {
        *("NoSuchBucket", "InvalidBucketName", "AuthorizationHeaderMalformed", "PermanentRedirect", "301", "307"),
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
        *("RequestTimeTooSkewed", "AccountProblem", "NotSignedUp", "InvalidSecurity", "NotImplemented", "501", "507"),
    }
)
"""Codes that say whose fault it is: the wiring's, the credentials', this machine's clock's, the store's own limits."""
_UNANSWERED = frozenset(
    {"RequestTimeout", "NoSuchUpload", "SlowDown", "BadDigest", "XAmzContentChecksumMismatch", "IncompleteBody"}
)
"""Codes below 500 that decide nothing."""
_NOBODY = "no credentials for s3: they come from the environment or the role of this machine"
CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted"})
"""Codes of a call that met another one, so that nothing of it landed."""


@dataclass(frozen=True)
class Clients:
    """once: sends each call once, for writes on a condition. again: repeats what got no answer, some times."""

    once: Any
    again: Any
    session: Any


_Way = tuple[str, str, bool]
_MADE: dict[_Way, Clients] = {}
_LOCK = Lock()


def find_clients(place: S3Place) -> Clients:
    """The clients of this process for `place`. ENVIRONMENT_UNFIT for an environment in which none can be made."""
    way = (place.endpoint, place.region, place.path_style)
    with _LOCK:
        if way not in _MADE:
            with map_errors("the store"):
                _MADE[way] = _make_clients(place)
        return _MADE[way]


def list_storage_options(place: S3Place) -> dict[str, str]:
    """What delta-rs must be told of a place: the same way to it, and the very credentials that boto3 finds.

    delta-rs looks for credentials in fewer places than boto3 does. They change with time where they are a role's, so
    that each commit asks anew. ENVIRONMENT_UNFIT where there are none.
    """
    host = place.endpoint
    if host and not place.path_style:
        host = host.replace("://", f"://{place.bucket}.", 1)
    with map_errors("the table's log"):
        found = find_clients(place).session.get_credentials()
        keys = found.get_frozen_credentials() if found else None
    if keys is None:
        raise refuse("ENVIRONMENT_UNFIT", f"the table's log: {_NOBODY}")
    stated = {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token,
        "aws_endpoint": host,
        "aws_region": place.region,
        "aws_virtual_hosted_style_request": str(not place.path_style).lower(),
        "aws_conditional_put": "etag",
        "allow_http": str(host.startswith("http://")).lower(),
        "max_retries": "0",  # a put that is sent again after a lost answer meets its own log entry
    }
    return {name: value for name, value in stated.items() if value}


def forget_clients() -> None:
    """Closes the connections of this process; the next call makes clients anew, with the credentials of then."""
    with _LOCK:
        made = list(_MADE.values())
        _MADE.clear()
    for clients in made:
        clients.once.close()
        clients.again.close()


def _start_anew() -> None:
    """A forked process shares no connection and no lock with the one it came of."""
    global _LOCK  # noqa: PLW0603  # a thread that does not exist here may hold the old one
    _LOCK = Lock()
    _MADE.clear()


os.register_at_fork(after_in_child=_start_anew)


def _make_clients(place: S3Place) -> Clients:
    import boto3
    from botocore.config import Config

    session = boto3.session.Session()

    def make(attempts: int) -> Any:
        """A client whose calls are sent so many times at most."""
        return session.client(
            "s3",
            region_name=place.region,
            endpoint_url=place.endpoint or None,
            config=Config(
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                max_pool_connections=_CONNECTIONS,
                retries={"mode": "standard", "total_max_attempts": attempts},
                s3={
                    "addressing_style": "path" if place.path_style else "virtual",
                    "us_east_1_regional_endpoint": "regional",
                },
            ),
        )

    return Clients(make(1), make(READ_ATTEMPTS), session)


def name_code(error: Any) -> str:
    """The code of a store's answer; of one without a body, as HEAD has, its HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def read_status(error: Any) -> int:
    """The HTTP status of a store's answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def map_errors(what: str, *, sent: bool = False, **details: Any) -> Iterator[None]:
    """What the store may not or cannot, as a refusal; silence as an OSError. Never anything of the SDK's own.

    what: names the object, never an address. sent: an earlier try of the call may have been received, so that
    a store that cannot be reached any more is silence too.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _judge_answer(error, what, details) from None
    except (BotoCoreError, ResponseParserError) as error:
        raise _judge_silence(error, what, details, sent) from None


def _judge_answer(error: Any, what: str, details: dict[str, Any]) -> Exception:
    """What an answer with a code other than success means."""
    code, status = name_code(error), read_status(error)
    said = f"{what}: s3 answered {error.operation_name} with {show_text(code)}"
    if code in UNFIT or status in (301, 307, 501, 507):
        return refuse("ENVIRONMENT_UNFIT", f"{said}{_explain(code)}", **details)
    if status in (401, 403):
        return refuse("REF_ACCESS_DENIED", f"{said}: these credentials may not", **details)
    if code == "KeyTooLongError":
        return refuse("REF_SCOPE_INVALID", f"{said}: no object can have this name", **details)
    if status >= 500 or status in (408, 409, 429) or code in _UNANSWERED or not status:
        return OSError(said)
    return refuse("ENVIRONMENT_UNFIT", said, **details)


def _explain(code: str) -> str:
    if code in ("AuthorizationHeaderMalformed", "PermanentRedirect", "301", "307"):
        return ": the bucket is in another region than objects.region says"
    if code == "RequestTimeTooSkewed":
        return ": this machine's clock is wrong"
    return ": the store does not know these credentials" if "Token" in code or code == "InvalidAccessKeyId" else ""


def _judge_silence(error: Exception, what: str, details: dict[str, Any], sent: bool) -> Refusal | OSError:
    """What an error of the SDK means: either nothing was sent, or nobody knows."""
    from botocore import exceptions as known

    name = type(error).__name__
    nowhere = (known.EndpointConnectionError, known.ConnectTimeoutError, known.ProxyConnectionError)
    nobody = (
        *(known.NoCredentialsError, known.PartialCredentialsError, known.CredentialRetrievalError),
        *(known.TokenRetrievalError, known.SSOError, known.ProfileNotFound, known.LoginError),
    )
    unusable = (
        *(known.ConfigParseError, known.ConfigNotFound, known.InvalidProxiesConfigError, known.ParamValidationError),
        *(known.NoRegionError, known.InvalidRegionError, known.InvalidConfigError, known.DataNotFoundError),
    )
    if isinstance(error, known.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return refuse("ENVIRONMENT_UNFIT", f"{what}: the store's certificate is not trusted here", **details)
    if isinstance(error, nowhere) and not sent:
        message = f"{what}: the endpoint of the object store cannot be reached ({name})"
        return refuse("ENVIRONMENT_UNFIT", message, **details)
    if isinstance(error, nobody):
        return refuse("ENVIRONMENT_UNFIT", f"{what}: {_NOBODY} ({name})", **details)
    if isinstance(error, unusable):
        return refuse("ENVIRONMENT_UNFIT", f"{what}: s3 cannot be used with these settings ({name})", **details)
    return OSError(f"{what}: s3 did not answer, or not in full ({name})")
