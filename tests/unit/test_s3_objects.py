"""What is S3's own: errors and silences, conditions, parts, checksums, clients, addresses."""

from __future__ import annotations

import base64
import hashlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation.errors import PinsRefused, Refusal
from ofs_spark.foundation.ports import ObjectMissing, ObjectTooLarge, Put, Tail
from ofs_spark.foundation.wiring import StoreSettings
from ofs_spark.io.objects import s3_client, s3_uploads
from ofs_spark.io.objects.s3 import S3Objects
from ofs_spark.io.objects.s3_client import find_clients, list_storage_options
from ofs_spark.io.objects.s3_place import S3Place, UnfitPlaceError, read_place, resolve_root
from tests.servers.fault_proxy import FaultProxy
from tests.servers.fixtures import KEYS

MOST = 1 << 20
ROOT = Path(__file__).parents[2]
SECRET = KEYS["AWS_SECRET_ACCESS_KEY"]
Bucket = Callable[[str], str]


@pytest.fixture(scope="module")
def one_proxy(s3_address: str) -> Iterator[FaultProxy]:
    with FaultProxy(s3_address) as one:
        yield one


@pytest.fixture
def proxy(one_proxy: FaultProxy) -> FaultProxy:
    one_proxy.reset()
    return one_proxy


@pytest.fixture
def objects(proxy: FaultProxy, s3_address: str, make_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> S3Objects:
    """A store behind a proxy, which has shown that it keeps conditions; nobody waits for a second try."""
    monkeypatch.setattr(s3_uploads, "CONFLICT_PAUSES_S", (0.0,) * 4)
    objects = S3Objects.at(f"{make_bucket(s3_address)}/objects", StoreSettings(endpoint=proxy.address))
    objects.put_if_absent("proof", b"")
    proxy.requests.clear()
    return objects


# Silence, and every answer that is none


@pytest.mark.parametrize("kind", ["cut", "lost reply", "500", "503", "lost reply 500", "lost reply 503"])
def test_a_conditional_write_without_an_answer_is_silence_and_is_sent_once(
    kind: str, objects: S3Objects, proxy: FaultProxy
) -> None:
    proxy.fail(kind, method="PUT")
    with pytest.raises(OSError, match="the object a/b: s3 "):
        objects.put_if_absent("a/b", b"body")
    assert proxy.count("PUT") == 1
    landed = kind.startswith("lost reply")
    assert objects.exists("a/b") is landed
    assert objects.put_if_absent("a/b", b"body") is (Put.EXISTS if landed else Put.CREATED)


def test_a_swap_without_an_answer_is_silence_and_is_sent_once(objects: S3Objects, proxy: FaultProxy) -> None:
    objects.put_if_absent("link", b"one")
    assert objects.swap("link", b"one", b"two")
    proxy.fail("lost reply", method="PUT")
    with pytest.raises(OSError, match="the object link: s3 "):
        objects.swap("link", b"two", b"three")
    assert objects.read("link", MOST) == b"three"
    assert not objects.swap("link", b"two", b"three")


def test_nobody_waits_for_a_store_without_end(
    make_bucket: Bucket, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "READ_S", 1)
    with FaultProxy(s3_address) as proxy:
        objects = S3Objects.at(make_bucket(s3_address), StoreSettings(endpoint=proxy.address))
        proxy.fail("timeout", method="PUT")
        with pytest.raises(OSError, match="ReadTimeoutError"):
            objects.put_if_absent("a", b"body")
        assert proxy.count("PUT") == 1
        assert objects.read("a", MOST) == b"body"


def test_a_conflict_says_that_nothing_landed_and_is_sent_again(objects: S3Objects, proxy: FaultProxy) -> None:
    proxy.fail("409", method="PUT", times=4)
    assert objects.put_if_absent("a", b"body") is Put.CREATED
    assert proxy.count("PUT") == 5
    proxy.fail("409", method="PUT", times=5, code="OperationAborted")
    with pytest.raises(OSError, match="OperationAborted"):
        objects.put_if_absent("b", b"body")
    assert not objects.exists("b")


def test_a_precondition_that_failed_is_an_object_that_stands(objects: S3Objects, proxy: FaultProxy) -> None:
    proxy.fail("412", method="PUT")
    assert objects.put_if_absent("a", b"body") is Put.EXISTS
    objects.put_if_absent("b", b"one")
    objects.swap("b", b"one", b"two")
    proxy.fail("412", method="PUT")
    assert objects.swap("b", b"two", b"three") is False


def test_reads_and_plain_writes_are_sent_again(objects: S3Objects, proxy: FaultProxy) -> None:
    objects.put_if_absent("a", b"body")
    proxy.requests.clear()
    for call, expected in (
        (lambda: objects.read("a", MOST), b"body"),
        (lambda: objects.exists("a"), True),
        (lambda: objects.list_below("proof"), []),
        (lambda: objects.replace("c", b"body"), None),
        (lambda: objects.remove("c"), None),
    ):
        before = len(proxy.requests)
        proxy.fail("503")
        assert call() == expected
        assert len(proxy.requests) > before + 1


def calls_of(objects: S3Objects) -> dict[str, Callable[[], Any]]:
    return {
        "read": lambda: objects.read("a", MOST),
        "read_tail": lambda: objects.read_tail("a", 2),
        "read_range": lambda: objects.read_range("a", 1, 2),
        "digest": lambda: objects.digest("a"),
        "exists": lambda: objects.exists("a"),
        "list_below": lambda: objects.list_below("a"),
        "list_folders": lambda: objects.list_folders(""),
        "list_objects": lambda: objects.list_objects("a"),
        "put_if_absent": lambda: objects.put_if_absent("a", b"body"),
        "replace": lambda: objects.replace("a", b"body"),
        "swap": lambda: objects.swap("a", b"body", b"other"),
        "remove": lambda: objects.remove("a"),
        "require_root": objects.require_root,
    }


CALLS = list(calls_of(S3Objects(S3Place("b", "", "", "r", True))))


@pytest.mark.parametrize("call", CALLS)
def test_what_a_store_refuses_is_access_denied(call: str, objects: S3Objects, proxy: FaultProxy) -> None:
    proxy.fail("403", times=9)
    with pytest.raises(PinsRefused, match="REF_ACCESS_DENIED") as refused:
        calls_of(objects)[call]()
    assert "these credentials may not" in refused.value.message
    assert proxy.address not in str(refused.value.to_document())


@pytest.mark.usefixtures("s3_keys")
@pytest.mark.parametrize("call", CALLS)
def test_no_bucket_is_an_unfit_environment(call: str, s3_address: str) -> None:
    objects = S3Objects.at("s3://no-such-bucket", StoreSettings(endpoint=s3_address))
    if call == "exists":  # HEAD says only that there is none; what needs the bucket has been asked before
        assert objects.exists("a") is False
        return
    with pytest.raises(Refusal, match=r"ENVIRONMENT_UNFIT: .*NoSuchBucket"):
        calls_of(objects)[call]()


@pytest.mark.usefixtures("s3_keys")
@pytest.mark.parametrize("call", CALLS)
def test_an_endpoint_that_is_not_there_is_an_unfit_environment_or_silence(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "READ_ATTEMPTS", 1)
    objects = S3Objects.at("s3://bucket", StoreSettings(endpoint="http://127.0.0.1:9", region="nowhere"))
    if call in ("replace", "remove"):  # an earlier try of them may have been received
        with pytest.raises(OSError, match="did not answer"):
            calls_of(objects)[call]()
        return
    with pytest.raises(Refusal, match=r"ENVIRONMENT_UNFIT: .*cannot be reached") as refused:
        calls_of(objects)[call]()
    assert "127.0.0.1" not in str(refused.value.to_document())


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AuthorizationHeaderMalformed", "another region"),
        ("ExpiredToken", "does not know these credentials"),
        ("InvalidAccessKeyId", "does not know these credentials"),
        ("RequestTimeTooSkewed", "clock is wrong"),
        ("NotImplemented", "NotImplemented"),
    ],
)
def test_a_fault_of_the_set_up_is_named(code: str, told: str, objects: S3Objects, proxy: FaultProxy) -> None:
    proxy.fail("403", code=code, times=9)
    for call in ("put_if_absent", "read"):
        with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT") as refused:
            calls_of(objects)[call]()
        assert told in refused.value.message


@pytest.mark.usefixtures("no_clients")
def test_without_credentials_nothing_is_asked(
    make_bucket: Bucket, s3_address: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = make_bucket(s3_address)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    objects = S3Objects.at(bucket, StoreSettings(endpoint=proxy.address))
    for call in calls_of(objects).values():
        with pytest.raises(Refusal, match=r"ENVIRONMENT_UNFIT: .*no credentials for s3"):
            call()
    with pytest.raises(Refusal, match=r"ENVIRONMENT_UNFIT: .*no credentials for s3"):
        list_storage_options(objects.place)
    assert proxy.requests == []


@pytest.mark.parametrize("call", ["read", "read_tail", "read_range", "digest", "swap"])
def test_half_a_body_is_no_object(call: str, objects: S3Objects, proxy: FaultProxy) -> None:
    objects.put_if_absent("a", b"body")
    proxy.fail("half reply", method="GET")
    with pytest.raises(OSError, match="s3 did not answer, or not in full"):
        calls_of(objects)[call]()


def test_a_body_that_is_not_what_was_put_is_no_object(objects: S3Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum that was sent comes back with the object, and the SDK compares."""
    objects.put_if_absent("a", b"body")
    forward = FaultProxy.forward

    def spoil(proxy: FaultProxy, request: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        status, headers, body = forward(proxy, request)
        return status, headers, body.replace(b"body", b"bady")

    monkeypatch.setattr(FaultProxy, "forward", spoil)
    with pytest.raises(OSError, match="FlexibleChecksumError"):
        objects.read("a", MOST)


def test_the_length_is_judged_before_the_body_is_read(objects: S3Objects, proxy: FaultProxy) -> None:
    objects.put_if_absent("a", bytes(8 << 20))
    proxy.requests.clear()
    proxy.fail("half reply", method="GET")  # whoever reads the body finds that it is not whole
    with pytest.raises(ObjectTooLarge) as found:
        objects.read("a", 4)
    assert (found.value.found, found.value.allowed) == (8 << 20, 4)
    assert [one.method for one in proxy.requests] == ["GET"]


def test_a_tail_is_one_ranged_get(objects: S3Objects, proxy: FaultProxy) -> None:
    objects.put_if_absent("a", b"01234567")
    objects.put_if_absent("empty", b"")
    proxy.requests.clear()
    assert (objects.read_tail("a", 3), objects.read_tail("empty", 3)) == (Tail(8, b"567"), Tail(0, b""))
    assert [(one.method, one.headers["range"]) for one in proxy.requests] == [("GET", "bytes=-3")] * 2


def test_a_range_is_one_ranged_get(objects: S3Objects, proxy: FaultProxy) -> None:
    objects.put_if_absent("a", b"01234567")
    proxy.requests.clear()
    assert (objects.read_range("a", 2, 3), objects.read_range("a", 8, 3)) == (b"234", b"")
    assert [one.headers["range"] for one in proxy.requests] == ["bytes=2-4", "bytes=8-10"]


# Conditions


def test_the_first_object_proves_that_the_store_keeps_conditions(
    make_bucket: Bucket, s3_address: str, proxy: FaultProxy
) -> None:
    objects = S3Objects.at(make_bucket(s3_address), StoreSettings(endpoint=proxy.address))
    assert objects.put_if_absent("a", b"1") is Put.CREATED
    assert proxy.count("PUT", "/a") == 2
    assert objects.put_if_absent("b", b"1") is Put.CREATED
    assert proxy.count("PUT", "/b") == 1
    other = S3Objects.at(make_bucket(s3_address), StoreSettings(endpoint=proxy.address))
    objects.put_if_absent("a", b"1")
    other.put_if_absent("a", b"1")
    other.put_if_absent("b", b"1")
    assert (proxy.count("PUT", "/a"), proxy.count("PUT", "/b")) == (5, 2)


def test_an_object_that_stands_proves_it_too(make_bucket: Bucket, s3_address: str, proxy: FaultProxy) -> None:
    bucket = make_bucket(s3_address)
    S3Objects.at(bucket, StoreSettings(endpoint=s3_address)).put_if_absent("a", b"1")
    objects = S3Objects.at(bucket, StoreSettings(endpoint=proxy.address))
    assert [objects.put_if_absent("a", b"2"), objects.put_if_absent("b", b"2")] == [Put.EXISTS, Put.CREATED]
    assert proxy.count("PUT") == 2


def test_a_store_that_ignores_a_condition_is_refused_and_nothing_is_harmed(
    make_bucket: Bucket, s3_address: str
) -> None:
    bucket = make_bucket(s3_address)
    with FaultProxy(s3_address, drops=("If-None-Match", "If-Match")) as proxy:
        objects = S3Objects.at(bucket, StoreSettings(endpoint=proxy.address))
        for _ in range(2):
            with pytest.raises(
                Refusal, match="ENVIRONMENT_UNFIT: the object store ignores the condition If-None-Match"
            ):
                objects.put_if_absent("a", b"1")
            with pytest.raises(Refusal, match="ENVIRONMENT_UNFIT: the object store ignores the condition If-Match"):
                objects.swap("a", b"1", b"2")
        assert objects.read("a", MOST) == b"1"


def test_a_proof_without_an_answer_proves_nothing(make_bucket: Bucket, s3_address: str, proxy: FaultProxy) -> None:
    objects = S3Objects.at(make_bucket(s3_address), StoreSettings(endpoint=proxy.address))
    proxy.fail("500", n=2, method="PUT")
    with pytest.raises(OSError, match="InternalError"):
        objects.put_if_absent("a", b"1")
    assert objects.put_if_absent("b", b"1") is Put.CREATED
    assert proxy.count("PUT", "/b") == 2


# Parts and checksums


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_uploads, "MOST_AT_ONCE", 8 << 20)
    monkeypatch.setattr(s3_uploads, "PART", 5 << 20)


BODY = os.urandom(11 << 20)


@pytest.mark.usefixtures("small_parts")
def test_a_large_object_goes_in_parts(objects: S3Objects, proxy: FaultProxy) -> None:
    assert objects.put_if_absent("a", BODY) is Put.CREATED
    assert objects.read("a", 1 << 30) == BODY
    assert objects.digest("a") == hashlib.sha256(BODY).hexdigest()
    objects.replace("a", BODY[::-1])
    assert objects.read("a", 1 << 30) == BODY[::-1]
    sent = [one for one in proxy.requests if one.method == "PUT"]
    assert [len(one.body) for one in sent] == [5 << 20, 5 << 20, 1 << 20] * 2
    assert all(one.headers["x-amz-checksum-sha256"] == checksum(one.body) for one in sent)
    completed = [one for one in proxy.requests if one.method == "POST" and "uploadId" in one.path]
    assert [one.headers.get("if-none-match") for one in completed] == ["*", None]


def checksum(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [("412", Put.EXISTS), ("403", "REF_ACCESS_DENIED"), ("cut", None), ("500", None)],
)
def test_an_upload_that_is_not_completed_is_given_up(
    kind: str, expected: Any, objects: S3Objects, proxy: FaultProxy
) -> None:
    proxy.fail(kind, method="POST", part="uploadId")
    if isinstance(expected, Put):
        assert objects.put_if_absent("a", BODY) is expected
    else:
        with pytest.raises(Refusal if expected else OSError, match=expected or "the object a"):
            objects.put_if_absent("a", BODY)
    assert proxy.count("POST", "uploadId") == 1
    assert proxy.count("DELETE", "uploadId") == 1
    assert not objects.exists("a")
    assert list(s3_uploads.list_unfinished(objects.place, "")) == []


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_meets_another_one_starts_anew(objects: S3Objects, proxy: FaultProxy) -> None:
    proxy.fail("409", method="POST", part="uploadId")
    assert objects.put_if_absent("a", BODY) is Put.CREATED
    assert (proxy.count("POST", "?uploads"), proxy.count("PUT")) == (2, 6)
    assert list(s3_uploads.list_unfinished(objects.place, "")) == []


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_a_signal_interrupts_is_given_up(objects: S3Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(s3_uploads, "_send_part", stop)
    with pytest.raises(KeyboardInterrupt):
        objects.put_if_absent("a", BODY)
    assert list(s3_uploads.list_unfinished(objects.place, "")) == []


def test_what_a_killed_writer_left_is_listed_and_removed(objects: S3Objects) -> None:
    clients, place = find_clients(objects.place), objects.place
    for key in ("objects/a/b", "objects/a/bc"):
        clients.again.create_multipart_upload(Bucket=place.bucket, Key=key)
    objects.put_if_absent("a/d", b"1")
    assert [(one.ref, one.bytes) for one in objects.list_objects("a")] == [("a/b", 0), ("a/bc", 0), ("a/d", 1)]
    assert all(one.modified > 1_200_000_000_000_000 for one in objects.list_objects("a"))
    assert objects.list_below("a") == ["a/d"]
    objects.remove("a/b")
    assert [one.ref for one in objects.list_objects("a")] == ["a/bc", "a/d"]


def test_every_write_goes_with_its_sha256(objects: S3Objects, proxy: FaultProxy) -> None:
    objects.put_if_absent("a", b"one")
    objects.swap("a", b"one", b"two")
    objects.replace("a", b"three")
    sent = [one for one in proxy.requests if one.method == "PUT"]
    assert [one.body for one in sent] == [b"one", b"one", b"two", b"three"]
    assert all(one.headers["x-amz-checksum-sha256"] == checksum(one.body) for one in sent)
    assert [("if-none-match" in one.headers, "if-match" in one.headers) for one in sent] == [
        *((True, False), (False, True), (False, True), (False, False))
    ]


def test_a_listing_has_as_many_pages_as_it_needs_and_no_key_that_no_ref_names(
    make_bucket: Bucket, s3_address: str
) -> None:
    objects = S3Objects.at(f"{make_bucket(s3_address)}/objects", StoreSettings(endpoint=s3_address))
    clients, many = find_clients(objects.place), [f"many/{number:04d}" for number in range(1005)]
    strange = ("objects/many/", "objects/many//x", "objects/many2/x", "objectsmany/x")
    for key in (*(f"objects/{ref}" for ref in many), *strange):
        clients.again.put_object(Bucket=objects.place.bucket, Key=key, Body=b"")
    assert objects.list_below("many") == many
    assert objects.list_folders("") == ["many", "many2"]


# Clients


@pytest.mark.usefixtures("no_clients")
def test_a_process_has_one_client_for_each_way_to_a_store(s3_objects: S3Objects, s3_address: str) -> None:
    travelled = pickle.loads(pickle.dumps(s3_objects))
    assert travelled == s3_objects
    found: list[Any] = []
    racers = [threading.Thread(target=lambda: found.append(find_clients(travelled.place))) for _ in range(8)]
    for one in racers:
        one.start()
    for one in racers:
        one.join()
    assert len({id(one) for one in found}) == 1
    other = S3Objects.at("s3://another-bucket", StoreSettings(endpoint=s3_address))
    assert find_clients(other.place) is found[0]
    elsewhere = S3Objects.at("s3://another-bucket", StoreSettings(endpoint=s3_address, region="eu-north-1"))
    assert find_clients(elsewhere.place) is not found[0]


def test_a_process_that_forks_shares_no_connection(s3_objects: S3Objects) -> None:
    s3_objects.put_if_absent("a", b"parent")
    mine = find_clients(s3_objects.place)
    child = os.fork()
    if child == 0:
        try:
            same = find_clients(s3_objects.place) is mine
            os._exit(1 if same or s3_objects.read("a", MOST) != b"parent" else 0)
        except BaseException:  # noqa: BLE001  # pytest must not go on in here
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert find_clients(s3_objects.place) is mine


def test_the_sdk_is_loaded_by_the_first_call(s3_address: str) -> None:
    program = (
        "import sys; from ofs_spark.io.context import open_context; from ofs_spark.io.objects.s3 import S3Objects;"
        "from ofs_spark.foundation.wiring import StoreSettings;"
        f"S3Objects.at('s3://bucket/p', StoreSettings(endpoint={s3_address!r})).locate('a');"
        "print({'boto3', 'botocore'} & set(sys.modules))"
    )
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=known)
    assert done.stdout == "set()\n"


def test_a_store_shows_no_secret(s3_objects: S3Objects) -> None:
    find_clients(s3_objects.place)
    assert SECRET not in repr(s3_objects) + str(pickle.dumps(s3_objects)) + repr(find_clients(s3_objects.place))


# Addresses


@pytest.mark.parametrize(
    ("stated", "root"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://b.u-1/a b/%2e%2e/wörld", "s3://b.u-1/a b/%2e%2e/wörld"),
    ],
)
def test_an_address_has_one_spelling(stated: str, root: str) -> None:
    assert resolve_root(stated) == root
    assert read_place(stated, StoreSettings(region="r")).root == root


@pytest.mark.parametrize(
    "stated",
    [
        *(
            "s3://",
            "s3:///a",
            "s3://B",
            "s3://ab",
            "s3://a..b",
            "s3://u:p@bucket/a",
            "s3://bucket//a",
            "s3://b1u/a/../b",
        ),
        *("s3://bucket/a\x00", "s3://bucket/a\\b", "s3://buck?et/a", f"s3://bucket/{'x' * 300}"),
    ],
)
def test_what_no_bucket_can_be_is_no_address(stated: str) -> None:
    with pytest.raises(UnfitPlaceError) as unfit:
        resolve_root(stated)
    assert "no s3://bucket/prefix" in unfit.value.found


@pytest.mark.parametrize(
    "ref", ["s3://bucket/other/x", "s3://other/objects/x", "s3://bucket/objects", "s3://bucket/objects/"]
)
def test_the_address_of_another_root_is_no_ref(ref: str) -> None:
    objects = S3Objects.at("s3://bucket/objects", StoreSettings(region="r"))
    with pytest.raises(PinsRefused, match="REF_SCOPE_INVALID"):
        objects.relative(ref)
    assert objects.relative("s3://bucket/objects/x") == "x"


def test_a_key_that_is_too_long_is_no_ref() -> None:
    objects = S3Objects.at(f"s3://bucket/{'/'.join(['x' * 200] * 4)}", StoreSettings(region="r"))
    with pytest.raises(PinsRefused, match=r"REF_SCOPE_INVALID: .*more than 1024 bytes"):
        objects.read("/".join(["y" * 200] * 2), MOST)


@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost:9000",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h/path",
        "http://h?x=1",
        "http://h:99999",
        "http://h\x7f",
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(UnfitPlaceError) as unfit:
        read_place("s3://bucket", StoreSettings(endpoint=endpoint))
    assert unfit.value.key == "objects.endpoint"
    assert unfit.value.found == "no address of a store: it is http:// or https://, a host and a port"


def test_settings_are_completed_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UnfitPlaceError, match=r"objects\.region"):
        read_place("s3://bucket", StoreSettings())
    with pytest.raises(UnfitPlaceError, match=r"objects\.region"):
        read_place("s3://bucket", StoreSettings(region="no region"))
    own = read_place("s3://bucket", StoreSettings(endpoint="https://h:9000/"))
    assert own == S3Place("bucket", "", "https://h:9000", "us-east-1", True)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert read_place("s3://bucket", StoreSettings()) == S3Place("bucket", "", "", "eu-west-2", False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert read_place("s3://bucket", StoreSettings(path_style=True)) == S3Place("bucket", "", "", "eu-west-1", True)
    assert read_place("s3://bucket", StoreSettings(region="eu-north-1")).region == "eu-north-1"


@pytest.mark.parametrize(
    ("endpoint", "is_open"),
    [
        *(("http://127.0.0.1:9000", False), ("http://localhost", False), ("http://[::1]:9000", False)),
        *(("https://store", False), ("", False), ("http://store:9000", True), ("http://10.0.0.1", True)),
    ],
)
def test_a_way_is_open_where_it_is_not_encrypted_and_leaves_the_machine(endpoint: str, is_open: bool) -> None:
    assert read_place("s3://bucket", StoreSettings(endpoint=endpoint, region="r")).has_open_way is is_open


@pytest.mark.usefixtures("s3_keys")
def test_delta_is_told_the_same_way_and_the_same_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of a role")
    s3_client.forget_clients()
    place = read_place("s3://bucket/p", StoreSettings(endpoint="https://h:9000", path_style=False))
    assert list_storage_options(place) == {
        "aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": SECRET,
        "aws_session_token": "of a role",
        "aws_endpoint": "https://bucket.h:9000",
        "aws_region": "eu-west-1",
        "aws_virtual_hosted_style_request": "true",
        "aws_conditional_put": "etag",
        "allow_http": "false",
        "max_retries": "0",
    }
    s3_client.forget_clients()


def test_an_object_that_is_gone_is_missing_for_every_reader(s3_objects: S3Objects) -> None:
    s3_objects.put_if_absent("a", b"1")
    s3_objects.remove("a")
    for call in (
        lambda: s3_objects.read("a", MOST),
        lambda: s3_objects.digest("a"),
        lambda: s3_objects.read_tail("a", 1),
        lambda: s3_objects.read_range("a", 0, 1),
    ):
        with pytest.raises(ObjectMissing):
            call()
    assert s3_objects.swap("a", b"1", b"2") is False
