"""The wiring: where things are. It never enters an identity. Which addresses are served, `io/adapters.py` knows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ofs_spark.foundation import contracts
from ofs_spark.foundation.collect import join_faults, merge_refusals
from ofs_spark.foundation.config import find_conf_root, read_conf
from ofs_spark.foundation.errors import Refusal, refuse
from ofs_spark.foundation.secrets import expand_text, holds_literal_secret, names_variable

ChosenBy: TypeAlias = Literal["flag", "environment", "default"]
"""What named the wiring: `--wiring`, OFS_WIRING, or nobody."""


@dataclass(frozen=True)
class LabelsWiring:
    """Where label assertions come from. ref: of the extract's manifest; empty for another kind."""

    kind: Literal["extract", "postgres"]
    ref: str


@dataclass(frozen=True)
class StoreSettings:
    """How an object store is reached, where that can be said. "" and None: not stated.

    path_style: whether the bucket stands in the path of an address, and not in its host.
    """

    endpoint: str = ""
    region: str = ""
    path_style: bool | None = None


@dataclass(frozen=True)
class Wiring:
    """Where things are, as stated or resolved; `spark` holds settings that do not change meaning.

    folder: of the wiring's file, absolute; relative addresses count from there. file: its path, absolute; chosen_by: what
    named it.
    unused: optional keys that are stated and that no chosen adapter uses; told at the start of a run.
    private: names of the Spark settings whose values came from the environment; they are shown nowhere.
    engine: what runs a build; `auto` is chosen by how much there is to do (`io/engines.py`).
    hidden: which of the roots, `objects` and `profiles`, hold a value of the environment: no path below one is shown.
    """

    kind: Literal["local", "dev", "prod"]
    folder: str
    objects_root: str
    ledger_dsn: str
    profiles_root: str
    labels: LabelsWiring
    store: StoreSettings = StoreSettings()
    bus: str = "none"
    spark: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    private: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    file: str = ""
    chosen_by: ChosenBy = "flag"
    engine: Literal["auto", "spark", "embedded"] = "auto"


_TAKE_VARIABLES = frozenset(
    {
        *("/objects/root", "/objects/endpoint", "/ledger/dsn", "/profiles/root", "/labels/dsn"),
        *("/bus/endpoint", "/bus/root", "/telemetry/otlp_endpoint"),
    }
)
"""Places whose values no message, plan or manifest shows; a setting that Spark reads is another one.

A value of the environment may be a secret: everywhere else a `${NAME}` is refused.
"""
_SPARK_SETTING = "/spark/spark."


def read_wiring(path: Path | None) -> Wiring:
    """The wiring at `path` (default: OFS_WIRING, else conf/wiring/local.yaml) as it is stated: nothing is resolved.

    `${NAME}` and `~/` are expanded. ENVIRONMENT_UNFIT names every fault by its pointer and shows no value;
    whether anything serves an address is not asked here.
    """
    file, chosen_by = choose_wiring(path)
    return replace(parse_wiring(read_conf(file, "the wiring", quote=False), file), chosen_by=chosen_by)


def choose_wiring(path: Path | None) -> tuple[Path, ChosenBy]:
    """The file of the wiring that is read, whether it is there or not, and what named it."""
    if path is not None:
        return path, "flag"
    stated = os.environ.get("OFS_WIRING")
    return (
        (Path(stated), "environment") if stated else (Path(str(find_conf_root() / "wiring" / "local.yaml")), "default")
    )


def describe_where(wiring: Wiring) -> dict[str, str]:
    """Where a command is: {wiring, chosen_by, object_root}; without the root where it holds a value of the environment."""
    root = {} if "objects" in wiring.hidden else {"object_root": wiring.objects_root}
    return {"wiring": wiring.file, "chosen_by": wiring.chosen_by, **root}


def parse_wiring(raw: Any, file: Path) -> Wiring:
    """The wiring that a document states; `file`: where it stands. ENVIRONMENT_UNFIT as `read_wiring`."""
    faults = find_wiring_faults(raw)
    if not faults:
        document = _expand(raw)
        faults = contracts.find_faults(document, "wiring")
    if faults:
        message = f"the wiring {file}: {faults[0].pointer or 'the document'}: {faults[0].message}"
        raise refuse("ENVIRONMENT_UNFIT", message, faults=[f.to_document() for f in faults])
    labels = document["labels"]
    return Wiring(
        kind=document.get("kind", "local"),
        folder=str(file.resolve().parent),
        file=str(file.absolute()),
        objects_root=document["objects"]["root"],
        ledger_dsn=document["ledger"]["dsn"],
        profiles_root=document["profiles"]["root"],
        labels=LabelsWiring(labels["kind"], labels.get("ref", "")),
        store=StoreSettings(**{name: one for name, one in document["objects"].items() if name != "root"}),
        bus=document.get("bus", {}).get("kind", "none"),
        engine=document.get("engine", "auto"),
        spark={name: _find_property(value) for name, value in document.get("spark", {}).items()},
        unused=tuple(_list_optional_keys(document)),
        private=frozenset(name for name, value in raw.get("spark", {}).items() if names_variable(str(value))),
        hidden=frozenset(name for name in ("objects", "profiles") if names_variable(raw[name]["root"])),
    )


def find_wiring_faults(raw: Any) -> list[contracts.DocumentFault]:
    """Why a wiring, as it stands in its file, is none, whatever the environment holds. In fault order; no value is shown."""
    late = [*find_literal_secrets(raw), *_find_misplaced_variables(raw)]
    return join_faults(contracts.find_faults(raw, "wiring"), late)


def find_literal_secrets(raw: Any) -> Iterator[contracts.DocumentFault]:
    """Every text of a wiring that holds a password of its own."""
    for text, path in _list_texts(raw, ()):
        if holds_literal_secret(text, str(path[-1]) if path else ""):
            message = (
                "stands in the file, and it may hold a password; name a variable of the environment instead: ${NAME}"
            )
            yield contracts.DocumentFault("SCHEMA_INVALID", contracts.format_secret_pointer([*path]), message)


def _find_misplaced_variables(raw: Any) -> Iterator[contracts.DocumentFault]:
    """Every text that holds a `${`, at a place whose value is shown."""
    for text, path in _list_texts(raw, ()):
        pointer = contracts.format_secret_pointer([*path])
        if names_variable(text) and pointer not in _TAKE_VARIABLES and not pointer.startswith(_SPARK_SETTING):
            message = "holds a ${; answers and manifests show what stands here, so it takes no variable"
            yield contracts.DocumentFault("SCHEMA_INVALID", pointer, message)


def _list_texts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every text of a document that is no key, and the path to it."""
    if isinstance(value, str):
        yield value, path
    for part, below in _list_members(value):
        yield from _list_texts(below, (*path, part))


def _expand(raw: Any) -> Any:
    """The document with its texts expanded; ENVIRONMENT_UNFIT, of all that cannot be."""
    refused: list[Refusal] = []
    document = _expand_below(raw, [], refused)
    if refused:
        raise refused[0] if len(refused) == 1 else merge_refusals(refused)
    return document


def _expand_below(value: Any, path: list[Any], refused: list[Refusal]) -> Any:
    if isinstance(value, dict):
        return {key: _expand_below(one, [*path, key], refused) for key, one in value.items()}
    if isinstance(value, list):
        return [_expand_below(one, [*path, index], refused) for index, one in enumerate(value)]
    try:
        return expand_text(value, contracts.format_secret_pointer(path)) if isinstance(value, str) else value
    except Refusal as refusal:
        refused.append(refusal)
        return value


def _list_members(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _find_property(value: Any) -> str:
    """A Spark property's text: YAML's truth values are written as Spark writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list_optional_keys(document: Mapping[str, Any]) -> Iterator[str]:
    """The stated keys that only some adapters use: of an object store, of a telemetry collector."""
    yield from (f"objects.{name}" for name in ("endpoint", "region", "path_style") if name in document["objects"])
    if (document.get("telemetry") or {}).get("otlp_endpoint"):
        yield "telemetry.otlp_endpoint"
