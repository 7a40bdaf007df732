"""A worker keeps what it frees: the kernel clears a page for it once, not at every table."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource, sys
import numpy as np, pyarrow as pa
from ofs_spark.foundation.columnar.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def make_tables():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        made = [np.ones(5 << 20), np.ones(1 << 21), pa.array(range(1 << 10)).take(pa.array(np.zeros(1 << 21, np.int64)))]
        del made
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
# The first is larger than what glibc takes from its heap by itself.
# The heap grows for some rounds, by where it begins: what counts is a round that needs nothing new.
print(json.dumps({"pool": pa.default_memory_pool().backend_name, "faults": min(make_tables() for _ in range(8))}))
"""


def run(how: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps its own ways")
def test_freed_memory_is_used_again() -> None:
    kept, given_back = run("kept"), run("as it is")
    assert (kept["pool"], given_back["pool"] != "system") == ("system", True)
    assert int(str(kept["faults"])) * 10 < int(str(given_back["faults"])), (kept, given_back)
