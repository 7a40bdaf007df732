"""Refs are put together in one file, and only for places that OFS owns."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ofs_spark.foundation import refs
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ownership import find_owner

ROOT = Path(__file__).resolve().parents[2]
RUN = "platform_20260210T130700Z"
ENDINGS = (".json", ".parquet", ".arrow", ".yaml", ".bin")
OWN_FILES = {"foundation/refs.py", "foundation/contracts.py"}
"""The refs, and the names of the schemas' files."""


def pasted(source: str) -> Iterator[str]:
    """Texts of f-strings that are paths of objects: one that ends as a file does, or names OFS' own folder."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            if texts and (str(texts[-1]).endswith(ENDINGS) or any("/ofs" in str(text) for text in texts)):
                yield ast.unparse(node)


def packaged() -> list[Path]:
    files = (ROOT / "ofs_spark").rglob("*.py")
    # Demo and import are the platform: they write what OFS reads.
    return [file for file in files if not {"demo", "intake"} & {*file.parts}]


def test_no_other_file_puts_a_path_together() -> None:
    found = {
        file.relative_to(ROOT / "ofs_spark").as_posix(): list(pasted(file.read_text(encoding="utf-8")))
        for file in packaged()
    }
    assert {name: texts for name, texts in found.items() if texts and name not in OWN_FILES} == {}
    assert found["foundation/refs.py"]


def test_a_pasted_path_is_seen() -> None:
    assert list(pasted('ref = f"{run}/ofs/x/{key}"')) == ["f'{run}/ofs/x/{key}'"]
    assert list(pasted('ref = f"{folder}/{name}.parquet"'))
    assert not list(pasted('at = f"{pointer}/{index}"'))


def make_ref(name: str) -> str:
    """What one of the functions makes of sample arguments."""
    given = {"platform_run_id": RUN, "staging": f"{RUN}/ofs/staging/p", "table": f"{RUN}/ofs/datasets/d/a"}
    numbers: dict[str, Any] = dict.fromkeys(("partition_ordinal", "segment_group", "version", "bucket", "number"), 1)
    function = getattr(refs, name)
    made: str = function(**{p: given.get(p) or numbers.get(p, "x") for p in inspect.signature(function).parameters})
    return made


def is_owned(name: str) -> bool:
    return bool(inspect.signature(getattr(refs, name)).return_annotation == "OwnedRef")


NAMES = [name for name in vars(refs) if name.startswith("name_")]
OWNED = {name: make_ref(name) for name in NAMES if is_owned(name)}
"""A ref of each kind that OFS writes, by the function that names it."""


@pytest.mark.parametrize("name", NAMES)
def test_a_ref_that_is_written_is_owned(name: str) -> None:
    assert (find_owner(make_ref(name)) == "ofs") or not is_owned(name)
    assert is_owned(name) or name in {
        "name_segment_index",
        "name_profile",
        "name_table_commit",
        "name_table_log",
        "name_part_file",
        "name_own_folder",
        "name_manifests",
        "name_prepared_manifests",
    }


@pytest.mark.parametrize("ref", [f"{RUN}/archive/segment_index.json", f"{RUN}/learning/x.json", "elsewhere/ofs/x.json"])
def test_what_others_own_is_never_an_owned_ref(ref: str) -> None:
    with pytest.raises(Refusal, match="OWNERSHIP_BOUNDARY_VIOLATION"):
        refs.own_ref(ref)
