"""Run facts named by a full address are recorded by their relative ref, as every path in a document is."""

from __future__ import annotations

from pathlib import Path

from ofs_spark.foundation.audit import Audit
from ofs_spark.io.objects.local import LocalObjects
from ofs_spark.pins.run_facts import read_run_facts
from tests.worlds.model import FACTS_REF, RUN, canon, run_facts


def test_a_full_ref_is_recorded_as_the_relative_one(tmp_path: Path) -> None:
    objects = LocalObjects.at(tmp_path)
    objects.put_if_absent(FACTS_REF, canon(run_facts()))
    audit: Audit = []
    found = read_run_facts(objects, objects.locate(FACTS_REF), RUN, (), audit)
    assert (found.ref, len(audit)) == (FACTS_REF, 1)
