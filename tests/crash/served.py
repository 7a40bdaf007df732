"""Drills whose objects are in a bucket and whose ledger is in Postgres, both beyond networks that can be cut."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import boto3

from ofs_spark.foundation.errors import Refusal
from ofs_spark.io.objects.s3_client import forget_clients
from tests.crash.drill import PARENT, Drill, template
from tests.invariants.check import find_violations
from tests.invariants.mirror import mirror_bucket, mirror_ledger
from tests.servers.cut import Cutter
from tests.servers.fault_proxy import FaultProxy
from tests.servers.fixtures import KEYS, create_bucket
from tests.servers.postgres import PASSWORD, Postgres
from tests.worlds.places import Place, upload_world
from tests.worlds.writer import Written

_NUMBERS = count(1)


@dataclass
class Servers:
    """The servers of a test run. bucket: the one that all drills share, each below a prefix of its own."""

    s3_address: str
    postgres: Postgres
    bucket: str = ""

    def __post_init__(self) -> None:
        self.bucket = create_bucket(self.s3_address)


@dataclass
class ServedDrill(Drill):
    """A drill over networks: `web` before the bucket, `net` before the database."""

    place: Place = field(kw_only=True)
    web: FaultProxy = field(kw_only=True)
    net: Cutter = field(kw_only=True)
    servers: Servers = field(kw_only=True)
    schema: str = field(kw_only=True)

    def run(self, *asked: Any, **named: Any) -> dict[str, Any] | BaseException:
        """As any drill's; a driver may end before it has begun, for want of a server."""
        try:
            return super().run(*asked, **named)
        except (Refusal, OSError) as error:
            return error

    def find_violations(self, *, settled: bool) -> list[str]:
        """What is broken by now, in copies of bucket and tables that are made past the networks."""
        client: Any = boto3.client(
            "s3",
            endpoint_url=self.servers.s3_address,
            region_name=KEYS["AWS_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        bucket, _, prefix = self.place.objects_root.removeprefix("s3://").partition("/")
        here = self.written.root.parent
        dsn = f"{self.servers.postgres.dsn(self.schema)}&password={PASSWORD.replace(' ', '%20')}"
        root = mirror_bucket(client, bucket, prefix, here / "mirror")
        client.close()
        return find_violations(root, mirror_ledger(dsn, here / "mirror.sqlite"), self.history, settled=settled)


@contextmanager
def serve_drill(servers: Servers, world: Callable[[], Written] = template) -> Iterator[ServedDrill]:
    """A world, the builds' if no other, in a place of its own, gone afterwards."""
    with ExitStack() as stack:
        stack.callback(forget_clients)  # nobody comes to this proxy again
        web = stack.enter_context(FaultProxy(servers.s3_address))
        net = stack.enter_context(Cutter(servers.postgres.port))
        schema = stack.enter_context(servers.postgres.new_schema())
        here = Path(tempfile.mkdtemp(prefix="ofs-served-", dir=PARENT))
        stack.callback(shutil.rmtree, here, ignore_errors=True)
        bucket = f"{servers.bucket}/{next(_NUMBERS)}"
        place = upload_world(world(), bucket, servers.s3_address, here, servers.postgres.dsn(schema, net.port))
        wiring = place.wiring.read_text().replace(servers.s3_address, web.address)
        place.wiring.write_text(wiring)
        (here / "objects").mkdir()
        written = replace(world(), root=here / "objects", wiring=place.wiring, intent=place.intent)
        yield ServedDrill(written, place=place, web=web, net=net, servers=servers, schema=schema)
