"""What is told of a parity report that stands."""

from __future__ import annotations

import hashlib

from ofs_spark.foundation.canonical import parse_json
from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.refs import name_fact
from ofs_spark.intent.run import Run
from ofs_spark.signals import governance
from ofs_spark.signals.write import MOST_BYTES, SignalWriter


def write_judged(writer: SignalWriter, ref: str, contract: str, run: Run) -> None:
    """The fact of a parity report that stands at a ref. Never raises."""
    with writer.try_writing(ref):
        body = writer.objects.read(ref, MOST_BYTES)
        report = parse_json(body, what="the report", max_bytes=MOST_BYTES)
        require_valid(report, contract)
        named = {"ref": ref, "sha256": hashlib.sha256(body).hexdigest()}
        fact = governance.compose_parity_result(run.run_key, report, named)
        writer.write(name_fact(report["platform_run_id"], fact["event_id"]), fact, once=True)
