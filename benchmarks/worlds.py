"""The worlds that contenders work on: how many events, how dense their keys are, and the profiles that are asked of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ofs_spark.demo.payments import Shape
from ofs_spark.demo.world import write_demo_world
from ofs_spark.foundation.policy import load_policy, state_releases

DAYS = 30
TERMINALS = 2_500
WINDOWS = {"1h": 3_600, "24h": 86_400, "7d": 604_800}
"""Seconds by name."""
AGGREGATES = {"count": "count", "spend": "sum", "mean": "mean", "largest": "max"}
KEYS = {"customer": "customer_id", "terminal": "terminal_id"}
"""Feature group → the payload field that is its key."""
SETS = {"one": ("customer",), "two": ("customer", "terminal")}
"""How many keys → the feature groups: three windows and four aggregates each."""
LABEL = "fraud_disposition"


def _shape(events: int, customers_of_2m: int, skew: float) -> Shape:
    return Shape(events, max(1, customers_of_2m * events // 2_000_000), TERMINALS, days=DAYS, skew=skew)


SHAPES: dict[str, Callable[[int], Shape]] = {
    "sparse": lambda events: _shape(events, 300_000, 0.31),
    "dense": lambda events: _shape(events, 25_000, 0.829),
    "dense10": lambda events: _shape(events, 2_500, 0.829),
    "hot20": lambda events: _shape(events, 300_000, 1.215),
    "one_key": lambda events: Shape(events, 1, TERMINALS, days=DAYS, skew=0.0),
}
"""Shape → how many customers pay how unevenly, by the number of events.

At 2 M events the mean frames of 1 h, 24 h and 7 d have about 1, 1.3 and 2.5 rows in sparse, and 10, 160 and 1,000 in dense;
dense10 has a tenth of the customers; hot20 a power law whose first customer has a fifth of all events; one_key one customer.
In all of them 3 % of the events are delivered late, by up to 30 hours, and 2 % twice."""


def name_set(keys: str, knowledge: str) -> str:
    """The feature set's id, which is its profile file's name too. knowledge: `as_observed`; `event_time` as peers see it."""
    return f"{keys}.{knowledge}"


def compose_profile(keys: str, knowledge: str) -> str:
    """The profile of one feature set."""
    groups = SETS[keys]
    listed = ", ".join(f"{group}@v1" for group in groups)
    lines = [
        "policy_id: bench.features",
        "revision: r1",
        "feature_sets:",
        f"  - {{feature_set_id: {name_set(keys, knowledge)}, feature_set_version: v1, groups: [{listed}]}}",
        "feature_groups:",
    ]
    for group in groups:
        lines += [
            f"  - name: {group}",
            "    version: v1",
            f"    key: [payload.{KEYS[group]}]",
            f"    knowledge: {knowledge}",
            "    source: {event_types: [card_payment]}",
            "    values:",
            '      amount: {path: payload.amount, type: "decimal(12,2)", missing: fail}',
            "    windows:",
            *(f"      - {{window: {name}, duration: {name}, ttl: {name}}}" for name in WINDOWS),
            "    features:",
            *(
                f"      - {{name: {name}, aggregate: {aggregate}{'' if name == 'count' else ', value: amount'}}}"
                for name, aggregate in AGGREGATES.items()
            ),
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class World:
    """A world in a folder, as `write_world` left it."""

    root: Path

    @property
    def objects(self) -> Path:
        """The object root."""
        return self.root / "objects"

    @property
    def wiring(self) -> Path:
        """The wiring file."""
        return self.root / "wiring.yaml"

    @property
    def about(self) -> dict[str, Any]:
        """`shape`, `events`, `customers`."""
        return dict(json.loads((self.root / "about.json").read_bytes()))

    @property
    def segments(self) -> list[str]:
        """The files of the archive."""
        return sorted(map(str, self.objects.glob("*/archive/segments/*/*/*.parquet")))

    @property
    def labels(self) -> list[str]:
        """The files of the label extract."""
        return sorted(map(str, self.objects.glob("*/label_store/extract/*.parquet")))

    @property
    def intent(self) -> dict[str, Any]:
        """The training intent; whoever builds gives it a request and a feature set."""
        document = dict(json.loads((self.root / "intents" / "training.json").read_bytes()))
        document["join_scope"].pop("required_output_ids", None)
        return document

    @property
    def asof(self) -> str:
        """The instant up to which labels are known."""
        return str(self.intent["label_basis"]["label_asof_utc"])


def write_world(shape: str, events: int, folder: Path) -> World:
    """The world of a shape below `folder`; one that is there already is taken as it is."""
    world = World(folder / f"{shape}-{events}")
    if (world.root / "about.json").is_file():
        return world
    of = SHAPES[shape](events)
    releases = state_releases(load_policy(None))
    write_demo_world(world.root, 7, of, releases, lambda _room, doing: print(f"  {doing}", flush=True))
    for keys in SETS:
        for knowledge in ("as_observed", "event_time"):
            profile = world.root / "profiles" / f"{name_set(keys, knowledge)}.yaml"
            profile.write_text(compose_profile(keys, knowledge))
    about = {"shape": shape, "events": events, "customers": of.customers, "days": of.days}
    (world.root / "about.json").write_text(json.dumps(about))
    return world


@contextmanager
def open_folder(kept: Path | None) -> Iterator[Path]:
    """Where worlds stand: `kept`, which the next run finds again, or a folder that is removed."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with TemporaryDirectory() as scratch:
        yield Path(scratch)
