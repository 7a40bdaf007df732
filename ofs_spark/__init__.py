"""OFS rebuilds fraud training data as immutable, verified datasets.

    import ofs_spark as ofs

    dataset = ofs.load("dm_…", wiring="wiring.yaml")
    train, test = dataset.split(train_until="2026-05-01T00:00:00Z", gap="7d")
    X, y = train.X_y("fraud_disposition", positive=["FRAUD_CONFIRMED"])

Importing this loads nothing: a name below brings what it needs when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["BuildAnswer", "Dataset", "LabelledRows", "Refusal", "Split", "__version__", "build", "load"]

if TYPE_CHECKING:
    from ofs_spark.api.build import BuildAnswer, build
    from ofs_spark.api.dataset import Dataset, Split
    from ofs_spark.api.labelled import LabelledRows
    from ofs_spark.api.load import load
    from ofs_spark.foundation.errors import Refusal

    __version__: str
else:
    _HOMES = {
        "BuildAnswer": "api.build",
        "build": "api.build",
        "Dataset": "api.dataset",
        "Split": "api.dataset",
        "LabelledRows": "api.labelled",
        "load": "api.load",
        "Refusal": "foundation.errors",
    }

    def __getattr__(name: str) -> Any:
        """A public name, loaded on its first use; `__version__` is read of the installed package."""
        from importlib import import_module

        if name == "__version__":
            value = import_module("ofs_spark.foundation.config").read_version()
        elif name in _HOMES:
            value = getattr(import_module(f"ofs_spark.{_HOMES[name]}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Every public name, loaded or not."""
        return sorted({*globals(), *__all__})
