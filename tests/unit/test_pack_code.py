"""The shipped archive is whole: contracts and policy are read from inside it, by a process that has nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASKED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import ofs_spark
from ofs_spark.foundation import contracts, policy
print(json.dumps([ofs_spark.__file__, contracts.list_contracts(), policy.load_policy(None).run_config_digest]))
"""


def packed(target: Path) -> Path:
    subprocess.run([sys.executable, ROOT / "scripts" / "pack_code.py", target], check=True)
    return target


def test_contracts_and_policy_travel_in_the_archive(tmp_path: Path) -> None:
    from ofs_spark.foundation import contracts, policy

    archive = packed(tmp_path / "code.zip")
    run = [sys.executable, "-c", ASKED, str(archive)]
    file, names, digest = json.loads(subprocess.run(run, check=True, capture_output=True, cwd=tmp_path).stdout)
    assert file.startswith(str(archive))
    assert names == list(contracts.list_contracts())
    assert digest == policy.load_policy(None).run_config_digest


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    assert packed(tmp_path / "a.zip").read_bytes() == packed(tmp_path / "b.zip").read_bytes()
