"""`ofs demo`: a world, a dataset, the same one from the other engine, parity with an online plane, and what to look at."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from ofs_spark import pipeline
from ofs_spark.console import Progress, print_demo
from ofs_spark.demo.payments import Shape
from ofs_spark.demo.world import DemoWorld, write_demo_world, write_wiring
from ofs_spark.foundation.canonical import CanonicalError, encode_canonical, parse_json
from ofs_spark.foundation.commands import Next, name_program
from ofs_spark.foundation.errors import InternalError, refuse
from ofs_spark.foundation.policy import load_policy, state_releases
from ofs_spark.foundation.ports import Announce
from ofs_spark.foundation.wording import write_count
from ofs_spark.io.context import open_context
from ofs_spark.io.engines import WIDTH
from ofs_spark.workflow.context import RunContext

FACTS = "demo.json"
MARK = ".ofs-demo"
"""Stands in a folder that a demo made: one whose world was never finished is made anew."""
AGAIN = "objects-again"
_PATHS = ("objects", "wiring", "training", "explore", "parity", "planted", "forensic", "sweep", "anchors")
_COUNTS = ("payments", "fraud", "redeliveries", "late", "token_checks", "assertions")
_REDELIVERY = ("event_id", "topic", "partition", "offset")
_EXPLAINED = "customer__count_7d"
"""The column that people are shown how to explain: it counts the event that the planted snapshot has twice."""


@dataclass(frozen=True)
class Demo:
    """What a demo came to. again: of the second build; parity: a good snapshot's result and the planted one's."""

    world: DemoWorld
    answer: Mapping[str, Any]
    manifest: Mapping[str, Any]
    again: Mapping[str, Any]
    parity: Mapping[str, Mapping[str, Any]]

    @property
    def is_same(self) -> bool:
        """Whether both builds have one digest."""
        return bool(self.again["content_digest"] == self.answer["content_digest"])

    @property
    def places(self) -> dict[str, str]:
        """The absolute paths of table and manifest."""
        return {
            name: os.path.abspath(self.world.objects / self.answer[f"{name}_ref"]) for name in ("table", "manifest")
        }

    def show(self, page: TextIO) -> None:
        """Prints the summary."""
        commands = _list_commands(self.world, self.answer["manifest_ref"])
        print_demo(_describe(self), self.places, list(self.parity.values()), commands, page)

    def conclude(self) -> dict[str, Any]:
        """The answer of `ofs demo`. A defect where the digests differ, or parity found something else than was planted."""
        if not self.is_same:
            raise InternalError("two builds of one plan have different digests")
        _require_told(self.world, self.parity)
        second = self.again["content_digest"]
        told = {"verified": True, "second_digest": second, "same_digest": True, "parity": dict(self.parity)}
        return {**self.answer, **told, **{f"{name}_path": path for name, path in self.places.items()}}


def run_demo(folder: Path, seed: int, payments: int, progress: Progress) -> Demo:
    """Generates, builds, verifies, compares snapshots of the online plane, builds again on the other engine."""
    world = _prepare_world(folder, seed, payments, progress)
    with open_context(world.wiring, None, progress, tell_tasks=progress.tell_tasks) as context:
        answer = pipeline.build_dataset(world.training.read_bytes(), context)
        verified = pipeline.verify_dataset(answer["manifest_ref"], context)
        manifest = pipeline.show_manifest(answer["manifest_ref"], context)
        parity = _compare_snapshots(world, context)
    if not verified["verified"]:
        raise InternalError(f"the demo's dataset does not verify: {verified['checks']}")
    return Demo(world, answer, manifest, _build_again(world, progress), parity)


def _compare_snapshots(world: DemoWorld, context: RunContext) -> dict[str, dict[str, Any]]:
    """Everything that the online plane logged, compared in one replay: the results of a good snapshot and of the planted one."""
    context.announce("demo", "rebuilds what the online plane logged, and compares")
    lines = world.anchors.read_bytes().splitlines()
    refs = [parse_json(line, what=str(world.anchors))["anchor_ref"] for line in lines]
    answer = pipeline.check_parity(world.sweep.read_bytes(), context, refs)
    results = {one["anchor_ref"]: one for one in answer["results"]}
    intents = {"matching": world.parity, "planted": world.planted}
    return {
        name: dict(results[parse_json(path.read_bytes(), what=str(path))["parity_anchor_ref"]])
        for name, path in intents.items()
    }


def _require_told(world: DemoWorld, parity: Mapping[str, Mapping[str, Any]]) -> None:
    """A defect where the good snapshot does not match, or the planted fault is not found where it was planted."""
    if parity["matching"]["outcome"] != "MATCH":
        raise InternalError(
            f"a snapshot of the demo's online plane is not what the archive gives: {parity['matching']}"
        )
    planted = parity["planted"].get("explanation") or {"causes": [], "proven": False}
    place = {name: world.redelivery[name] for name in ("topic", "partition", "offset")}
    found = [one["positions"][0].items() >= place.items() for one in planted["causes"] if one["positions"]]
    if not planted["proven"] or found != [True]:
        raise InternalError(f"the planted mismatch is of the redelivery at {place}, which was not found: {planted}")


def _prepare_world(folder: Path, seed: int, payments: int, announce: Announce) -> DemoWorld:
    """The world in `folder`, written unless it is there already."""
    asked = {"seed": seed, "payments": payments}
    facts = folder / FACTS
    if facts.is_file():
        known = _read_facts(facts)
        if known["asked"] != asked:
            raise refuse(
                "ENVIRONMENT_UNFIT", f"{folder} holds another demo world: {known['asked']}", _name_other(folder)
            )
        announce("demo", f"finds its world in {folder}")
        paths = {name: folder / path for name, path in known["paths"].items()}
        return DemoWorld(root=folder, **paths, redelivery=known["redelivery"], **known["counts"])
    if (folder / MARK).is_file():
        announce("demo", f"finds an unfinished world in {folder} and starts over")
        shutil.rmtree(folder)
    if folder.exists() and any(folder.iterdir()):
        raise refuse("ENVIRONMENT_UNFIT", f"{folder} is neither empty nor a demo world", _name_other(folder))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    releases = state_releases(load_policy(None))
    world = write_demo_world(folder, seed, _scale_shape(payments), releases, announce)
    facts.write_bytes(
        encode_canonical(
            {
                "asked": asked,
                "paths": {name: str(getattr(world, name).relative_to(folder)) for name in _PATHS},
                "counts": {name: getattr(world, name) for name in _COUNTS},
                "redelivery": dict(world.redelivery),
            }
        )
    )
    return world


def _read_facts(facts: Path) -> dict[str, Any]:
    """What stands of a finished world; ENVIRONMENT_UNFIT where it is not what a demo writes."""
    try:
        known = parse_json(facts.read_bytes(), what=str(facts))
    except CanonicalError as error:
        raise refuse("ENVIRONMENT_UNFIT", str(error), _name_other(facts.parent)) from None
    names = {"paths": _PATHS, "counts": _COUNTS, "redelivery": _REDELIVERY}
    parts = {part: known.get(part) for part in names} if isinstance(known, dict) and "asked" in known else {}
    if not parts or not all(isinstance(part, dict) and part for part in parts.values()):
        raise refuse("ENVIRONMENT_UNFIT", f"{facts} is not what a demo writes", _name_other(facts.parent))
    differs = sorted({name for part, own in names.items() for name in {*own} ^ {*(parts[part] or ())}})
    if differs:
        message = (
            f"{facts.parent} holds the demo world of another release ({facts.name} differs in {', '.join(differs)}): "
            "its runs cannot be shown here. Make a new world in another folder, or remove this one and run the demo again"
        )
        raise refuse("ENVIRONMENT_UNFIT", message, _name_other(facts.parent))
    return dict(known)


def _name_other(folder: Path) -> Next:
    """The demo in the first folder beside this one that is not there yet."""
    names = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return Next("demo", ("--folder", str(next(name for name in names if not name.exists()))))


def _scale_shape(payments: int) -> Shape:
    """The demo's shape, with fewer people where there are fewer payments."""
    share = min(1.0, payments / Shape.payments)
    return Shape(
        payments,
        max(50, int(Shape.customers * share)),
        max(20, int(Shape.terminals * share)),
        max(10, int(Shape.merchants * share)),
    )


def _build_again(world: DemoWorld, progress: Progress) -> dict[str, Any]:
    """The same intent in a second object root, on Spark, where the first build had what `auto` takes for so few events."""
    other = world.root / AGAIN
    progress("demo", "builds the same intent again: on Spark, second root, other exchange widths")
    shutil.copytree(
        world.objects,
        other,
        dirs_exist_ok=True,
        copy_function=_link,
        ignore=shutil.ignore_patterns("ofs", "learning", "ledger*", ".spark"),
    )
    settings = {"spark.master": "local[1]", WIDTH: "3", "spark.sql.session.timeZone": "America/New_York"}
    wiring = write_wiring(world.root, AGAIN, settings, engine="spark")
    with open_context(wiring, None, progress, tell_tasks=progress.tell_tasks) as context:
        return pipeline.build_dataset(world.training.read_bytes(), context)


def _link(source: str, target: str) -> str:
    """A hard link instead of a copy; inputs are never changed."""
    if not Path(target).exists():
        Path(target).hardlink_to(source)
    return target


def _describe(demo: Demo) -> dict[str, str]:
    """What people should know of the dataset and of its twin."""
    world, answer, manifest, again = demo.world, demo.answer, demo.manifest, demo.again
    counts, coverage = manifest["replay"]["counts"], manifest["labels"]["coverage"]["fraud_disposition"]
    features = [c for c in manifest["columns"] if c["role"] == "feature"]
    unused = counts["rows"] - answer["rows"]
    return {
        "went in": f"{write_count(counts['delivered'], 'delivery', 'deliveries')} of {write_count(world.payments, 'event')}",
        "among them": f"{world.fraud:,} fraudulent; {write_count(world.late, 'event')} delivered late",
        "dropped": ", ".join(
            [
                write_count(counts["redeliveries"], "redelivery", "redeliveries"),
                write_count(counts["conflicts"], "conflict"),
                f"{counts['invalid']:,} invalid",
            ]
        ),
        "not a row": f"{write_count(unused, 'event feeds', 'events feed')} no row: card_token_checks",
        "rows": f"{write_count(answer['rows'], 'payment')}, each as it stood when it was made",
        "features": f"{write_count(len(features), 'column')}, e.g. {features[0]['name']}, {features[-1]['name']}",
        "labels": f"{coverage['ratios']['coverage']:.2%} resolved, {coverage['counts']['conflict']} contradicting",
        "status": manifest["status"],
        "digest": answer["content_digest"],
        "again": f"{'the same digest' if demo.is_same else again['content_digest']}, from Spark in another root",
        "time": ", ".join(f"{entry} {seconds:.1f} s" for entry, seconds in answer["timings"].items()),
    }


def _list_commands(world: DemoWorld, manifest_ref: str) -> tuple[str, ...]:
    """What to try next, as it can be typed."""
    ofs = shlex.join([*name_program(sys.argv[0], sys.orig_argv[0]), "--wiring", str(world.wiring)])
    return (
        f"{ofs} build {shlex.quote(str(world.explore))}",
        f"{ofs} verify {manifest_ref}",
        f"{ofs} --json show {manifest_ref}",
        f"{ofs} parity {shlex.quote(str(world.planted))}",
        f"{ofs} forensic {shlex.quote(str(world.forensic))}",
        f"{ofs} explain {manifest_ref} {world.redelivery['event_id']} {_EXPLAINED}",
    )
