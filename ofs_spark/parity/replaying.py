"""A basis replayed for the online plane's law: scanned, and folded into states; from what stands, where that is whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ofs_spark.foundation.columnar.ports import Engine
from ofs_spark.parity.coverage import require_able
from ofs_spark.parity.fold import Folded, fold_states
from ofs_spark.replay.index import SegmentIndex
from ofs_spark.replay.scan_job import Scan, scan_basis
from ofs_spark.replay.scan_record import ScanPlace, find_scan, write_scan_record
from ofs_spark.replay.staged import prove_staged


@dataclass(frozen=True)
class Replay:
    """A scan and its fold."""

    scan: Scan
    folded: Folded


def replay_basis(engine: Engine, index: SegmentIndex, place: ScanPlace, announce: Callable[[str], None]) -> Replay:
    """The replay of a place's basis. announce: told what is done now.

    What an earlier attempt left of it is taken, if it is whole. Refuses as the scan did where this process could not read
    the archive.
    """
    scan = find_scan(place, training=False)
    if scan is None or not prove_staged(engine, place.objects, scan.staged):
        announce("scans")
        scan = scan_basis(engine, place.objects, index, place.basis, place.spec, place.folder, training=False)
        require_able(scan.completeness)
        if scan.is_proven:
            write_scan_record(place, scan)
    announce("folds")
    return Replay(scan, fold_states(engine, place.objects, scan, len(place.basis), place.folder))
