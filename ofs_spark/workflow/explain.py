"""`ofs explain`: the events that one value of a published dataset comes from, with the arithmetic that gives it.

The value is computed again from the archive by the code that builds datasets, and compared with the one that is stored:
what the archive no longer gives is PARITY_MISMATCH, never explained. docs/explain.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofs_spark.foundation.contracts import require_valid
from ofs_spark.foundation.ends import WrongArgument
from ofs_spark.foundation.errors import show_text
from ofs_spark.foundation.nearest import find_nearest
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.explain_stored import find_stored_row
from ofs_spark.workflow.manifests import find_manifest, read_manifest

ROLES = ("anchor", "feature", "label")
Document = Mapping[str, Any]


def explain_value(named: str, event_id: str, column: str | None, context: RunContext) -> dict[str, Any]:
    """The answer of `ofs explain`: of one column, or of everything that the row keeps of its event, every feature and label.

    WrongArgument for an event that is no row, and for a column that is none or is nothing to be explained.
    """
    ref = find_manifest(named, context)
    manifest = read_manifest(ref, context)
    chosen = [_choose_column(manifest, column)] if column is not None else _list_columns(manifest)
    context.announce("publish", f"looks for event {show_text(event_id)} in {manifest['materialization']['path']}")
    row = find_stored_row(manifest, event_id, context.objects)
    if row is None:
        dataset = manifest["dataset_manifest_id"]
        raise WrongArgument(f"no row of {dataset} is about event {show_text(event_id)}")
    from ofs_spark.workflow.loading import load_build_rooms

    load_build_rooms(context)  # compiles for a minute on a new machine: not for a column or an event that is none
    from ofs_spark.workflow.explain_answer import CONTRACT, compose_column_answer, compose_row_answer
    from ofs_spark.workflow.explain_row import Explainer

    explainer = Explainer(ref, manifest, row, context)
    explained, about = explainer.explain(chosen), explainer.describe()
    answer = compose_row_answer(about, explained) if column is None else compose_column_answer(about, explained[0])
    require_valid(answer, CONTRACT)
    return answer


def _list_columns(manifest: Document) -> list[Document]:
    return [column for column in manifest["columns"] if _is_explained(column)]


def _is_explained(column: Document) -> bool:
    """Whether a column has a story: of the identity columns a kept key has, which alone of them states its source."""
    return column["role"] in ROLES or (column["role"] == "identity" and "source" in column)


def _choose_column(manifest: Document, name: str) -> Document:
    columns = {column["name"]: column for column in manifest["columns"]}
    if name in columns and _is_explained(columns[name]):
        return dict(columns[name])
    if name in columns:
        said = f"{name} is a column of role {columns[name]['role']}, which comes from no other event"
        raise WrongArgument(f"{said}; features, labels and what a row keeps of its event are explained")
    near = find_nearest(name, (one["name"] for one in _list_columns(manifest)), 0)
    hint = f"; did you mean {near}?" if near else ""
    raise WrongArgument(f"the dataset has no column {show_text(name)}{hint}")
