"""Parity and forensics, as people read them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ofs_spark.console.answers import SHOWN, describe, show_value
from ofs_spark.console.screen import GAP, Screen, Styled


def print_parity(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """A comparison: each result that does not match with what differs and why, then how many match."""
    screen = Screen(stream or sys.stdout)
    print_results(screen, answer.get("results", ()))
    pairs = {
        name: answer[name]
        for name in ("outcome", "counts", "report_ref", "report_path", "results_ref")
        if answer.get(name)
    }
    screen.print_pairs(describe(screen, pairs, indent=0))


def print_results(screen: Screen, results: Sequence[Mapping[str, Any]]) -> None:
    """Each anchor's outcome; of one that does not match what differs and why."""
    for one in results:
        style = "green" if one["outcome"] == "MATCH" else "red"
        category = f" {one['category']}" if one.get("category") else ""
        screen.print_line(Styled(f"{one['outcome']}{category}", style), GAP, one["anchor_ref"])
        if one.get("reason"):
            screen.print_line("  ", one["reason"])
        for found in one["differences"][:SHOWN]:
            screen.print_line("  ", _show_difference(found))
        if one.get("explanation"):
            _print_causes(screen, one["explanation"])


def _show_difference(found: Mapping[str, Any]) -> str:
    field = f" {found['field']}" if found["field"] else ""
    return f"{found['key']}{field}: online {show_value(found['expected'])}, rebuilt {show_value(found['rebuilt'])}"


def _print_causes(screen: Screen, explanation: Mapping[str, Any]) -> None:
    """Each cause with its words, and whether the hash follows from them."""
    for cause in explanation["causes"][:SHOWN]:
        screen.print_line("  ", Styled(cause["cause"], "bold"), GAP, cause["detail"])
    proven = "with these the hashes are equal" if explanation["proven"] else "no change that was tried gives its hash"
    screen.print_line("  ", proven)


def print_forensic(answer: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """A rebuilt state: where it stands, whether it is the anchor's, and its first keys with their offsets."""
    screen = Screen(stream or sys.stdout)
    kept = ("outcome", "training_dataset", "record_ref", "snapshot_ref", "contributions_ref", "parity", "counts")
    screen.print_pairs(describe(screen, {name: answer[name] for name in kept}, indent=0))
    for one in answer["keys"][:SHOWN]:
        offsets = ", ".join(f"{at['topic']}/{at['partition']}@{at['offset']}" for at in one["offsets"][:SHOWN])
        more = f" and {one['event_count'] - SHOWN} more" if one["event_count"] > SHOWN else ""
        screen.print_line("  ", Styled(one["key"], "bold"), f": {offsets}{more}")
