"""Draws the newest comparisons: docs/benchmarks.svg, and the tables of docs/benchmarks.md between their marks.

python -m benchmarks.chart
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.report import ROOT, find_newest
from ofs_spark.foundation.wording import write_count

PAGE = ROOT / "docs" / "benchmarks.md"
CHART = ROOT / "docs" / "benchmarks.svg"
FIGURES, SHAPES = "figures", "shapes"
"""Names of the page's marks: what they enclose is written here."""
TITLES = {
    "ofs_spark": "OFS on Spark",
    "ofs_embedded": "OFS, embedded",
    "floor": "Spark floor (computes nothing)",
    "naive": "naive Spark",
    "duckdb": "DuckDB",
    "polars": "Polars",
}
COLOURS = {"wall_s": "#2f6f8f", "cpu_s": "#c9862b"}
WIDTH, BAR, GAP, LEFT, TOP = 760, 11, 8, 190, 44


def write_page(document: Mapping[str, Any], source: str) -> str:
    """The figures of `make bench`: what ran where, and a table per world."""
    lines = [*_tell_run(document, source), "", "![Wall and CPU seconds of every contender](benchmarks.svg)"]
    for result in document["results"]:
        lines += ["", f"### {name_world(result)}", "", *_list_rows(result)]
    return "\n".join(lines)


def write_shapes(document: Mapping[str, Any], source: str) -> str:
    """The figures of `make bench-nightly`: a row per world, a column per contender."""
    names = [name for name in TITLES if any(name in result["runs"] for result in document["results"])]
    lines = [
        *_tell_run(document, source),
        "",
        "| wall s / CPU s | " + " | ".join(TITLES[name] for name in names) + " |",
    ]
    lines.append("|---" * (len(names) + 1) + "|")
    for result in document["results"]:
        lines.append(f"| {name_world(result)} | " + " | ".join(_tell_medians(result, name) for name in names) + " |")
    return "\n".join(lines)


def _tell_run(document: Mapping[str, Any], source: str) -> list[str]:
    """On what it ran, and where it stands."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("spark", "duckdb", "polars", "pyarrow"))
    return [
        f"Measured on {machine['cpus']} processors and {machine['memory_gib']} GiB, {versions}",
        f"([{source}](../benchmarks/results/{source})).",
    ]


def _tell_medians(result: Mapping[str, Any], name: str) -> str:
    """A contender's medians; how it ended, where it gave none; nothing where it was not asked."""
    own = result["summary"].get(name)
    return f"{own['wall_s']:.1f} / {own['cpu_s']:.1f}" if own else str(result["ended"].get(name, ""))


def name_world(result: Mapping[str, Any]) -> str:
    """What a world is called."""
    return f"{result['shape']}, {result['events']:,} events, {result['keys']} key{'s' * (result['keys'] != 'one')}"


def _list_rows(result: Mapping[str, Any]) -> Iterable[str]:
    yield "| | runs | wall s | CPU s | CPU µs per event | peak MiB | wall ÷ OFS on Spark | CPU ÷ OFS on Spark | not exact |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, own in result["summary"].items():
        figures = [
            str(len(result["runs"][name])),
            f"{own['wall_s']:.1f}",
            f"{own['cpu_s']:.1f}",
            f"{own['cpu_us_per_event']:.1f}",
            f"{own['peak_mib']:,.0f}",
            *(f"{own[ratio]:.2f}" if ratio in own else "" for ratio in ("wall_over_ofs", "cpu_over_ofs")),
        ]
        yield f"| {TITLES[name]} | {' | '.join(figures)} | {tell_cells(name, result['cells'])} |"


def tell_cells(name: str, cells: Mapping[str, Any]) -> str:
    """Where a contender's cells are not the build's: shares of all cells by reason."""
    if name in ("ofs_spark", "floor"):
        return "what the others are compared with" if name == "ofs_spark" else "computes nothing"
    if name not in cells:
        return "not compared"
    found = cells[name]
    every = found["rows"] * len(found["columns"])
    reasons: dict[str, int] = {}
    for own in found["differing"].values():
        for reason, count in own.items():
            reasons[reason] = reasons.get(reason, 0) + count
    told = [f"{reason} {_share(count, every)}" for reason, count in reasons.items() if count]
    if found["missing"] or found["rows"] != found["rows_of_peer"]:
        told.append(f"{found['missing']:,} rows missing, {found['rows_of_peer']:,} written")
    return ", ".join(told) or "exact: no cell differs"


def _share(count: int, every: int) -> str:
    return f"{count / every:.1%}" if count >= every / 1000 else write_count(count, "cell")


def draw(document: Mapping[str, Any]) -> str:
    """The chart: a group of bars per contender and world, wall above CPU, each world on a scale of its own."""
    parts: list[str] = []
    at = TOP
    for result in document["results"]:
        summary = result["summary"]
        most = max(own[figure] for own in summary.values() for figure in COLOURS)
        parts.append(_text(10, at, name_world(result), "bold"))
        at += 12
        for name, own in summary.items():
            parts.append(_text(LEFT - 8, at + BAR + 3, TITLES[name], anchor="end"))
            for number, (figure, colour) in enumerate(COLOURS.items()):
                length = max(1.0, own[figure] / most * (WIDTH - LEFT - 90))
                top = at + number * BAR
                parts.append(f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 1}" fill="{colour}"/>')
                parts.append(_text(LEFT + length + 5, top + BAR - 2, f"{own[figure]:,.1f} s", size=10))
            at += 2 * BAR + GAP
        at += 26
    legend = [
        f'<rect x="{LEFT + number * 120}" y="8" width="12" height="10" fill="{colour}"/>'
        + _text(LEFT + number * 120 + 17, 17, {"wall_s": "wall", "cpu_s": "CPU"}[figure])
        for number, (figure, colour) in enumerate(COLOURS.items())
    ]
    size = f'width="{WIDTH}" height="{at}" viewBox="0 0 {WIDTH} {at}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{at}" fill="white"/>', *legend, *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, weight: str = "normal", size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'


def place(page: str, mark: str, figures: str) -> str:
    """The page with figures between the marks of a name."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{figures}\n{end}{rest.split(end)[1]}"


def render(source: Path, shapes: Path) -> tuple[str, str]:
    """(the page, the chart) as these results say: of `make bench`, and of `make bench-nightly`."""
    document, more = json.loads(source.read_bytes()), json.loads(shapes.read_bytes())
    page = place(PAGE.read_text(encoding="utf-8"), FIGURES, write_page(document, source.name))
    return place(page, SHAPES, write_shapes(more, shapes.name)), draw(document)


def main() -> None:
    """Writes both."""
    page, chart = render(find_newest("build"), find_newest("nightly"))
    PAGE.write_text(page, encoding="utf-8")
    CHART.write_text(chart, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} and {CHART.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
