"""What `ofs gc` must leave: read of the ledger, the prepared manifests and the manifests of a platform run, in this order.

A run that ends between two looks is seen by one of them: its manifest stands before the ledger says that it has ended, and
before its prepared manifest may go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ofs_spark.foundation.clock import to_micros
from ofs_spark.foundation.errors import Refusal
from ofs_spark.foundation.ports import ObjectTooLarge
from ofs_spark.foundation.refs import name_manifest, name_manifests, name_own_folder, name_prepared_manifests
from ofs_spark.intent.run import Run, State
from ofs_spark.publish.prepared import read_prepared
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.gc_orphans import SKEW_US, Candidate, Kind, Roots, is_unfinished
from ofs_spark.workflow.manifests import read_standing_manifest

_VIEW = ".v0.json"
"""How a manifest's view for readers of contract v0 ends: it names nothing that its manifest does not."""


class RootsUnreadable(Exception):
    """What a platform run must keep cannot be told: a document, or an answer of the store, is missing."""


class RootsReader:
    """Looks at the roots of one platform run, again and again: what a look has found stays found."""

    def __init__(self, platform_run_id: str, context: RunContext) -> None:
        self.roots = Roots()
        self._run_id, self._context = platform_run_id, context
        self._home = name_own_folder(platform_run_id)
        self._tokens: dict[str, int] | None = None
        self._silent: set[str] = set()
        self._read: set[str] = set()

    def look(self) -> Roots:
        """The roots as they are known by now. RootsUnreadable, naming it, if anything that may be one cannot be read.

        Refuses as the ledger where that cannot be used: without it nothing is judged.
        """
        self._ask_ledger()
        with _map_unreadable():
            self._read_prepared()
            for ref in self._list(name_manifests(self._run_id)):
                self._read_manifest(ref)
        return self.roots

    def look_again(self, candidate: Candidate) -> Roots:
        """The roots, right before a candidate is removed. RootsUnreadable as `look`.

        Only a claim can commit or prepare anything. Where one was made or ended since the last look, all is read again;
        else the candidate's own documents: the manifest of its dataset, or itself.
        """
        if self._ask_ledger():
            return self.look()
        with _map_unreadable():
            if candidate.kind is Kind.PREPARED:
                self._read_one_prepared(candidate.ref)
            elif candidate.kind is Kind.TABLE:
                ref = name_manifest(self._run_id, candidate.subject)
                if self._context.objects.exists(ref):
                    self._read_manifest(ref)
        return self.roots

    def _ask_ledger(self) -> bool:
        """Takes in claims that may commit, of RUNNING runs whose lease lasts; whether a claim was made or ended since.

        A run whose lease ran out is watched as long as it is RUNNING: nobody has taken it over.
        """
        ledger = self._context.control.ledger
        if self._tokens is None:
            found = [run for run in ledger.list_runs() if run.platform_run_id in (self._run_id, None)]
            self._tokens = {}
        else:
            moved = {key for key, token in ledger.list_tokens(self._run_id) if self._tokens.get(key) != token}
            found = [run for run in map(ledger.find, sorted(moved | self._silent)) if run is not None]
        changed = any(self._tokens.get(run.run_key) != run.token or run.state is not State.RUNNING for run in found)
        self._tokens |= {run.run_key: run.token for run in found}
        self.roots.live |= {run.token for run in found if self._is_live(run)}
        self._silent = {run.run_key for run in found if run.state is State.RUNNING and not self._is_live(run)}
        return changed

    def _is_live(self, run: Run) -> bool:
        lasts = (run.lease_until or 0) + SKEW_US > to_micros(self._context.clock.now())
        return run.state is State.RUNNING and lasts

    def _read_prepared(self) -> None:
        """Every prepared manifest, each time: a later attempt of its run may have prepared another."""
        for ref in self._list(name_prepared_manifests(self._run_id)):
            self._read_one_prepared(ref)

    def _read_one_prepared(self, ref: str) -> None:
        try:
            manifest = read_prepared(self._context.objects, ref).manifest
        except Refusal:
            if self._context.objects.exists(ref):
                raise
            return  # another gc took it away: its dataset stands
        self.roots.prepared[ref] = manifest["dataset_manifest_id"]
        self.roots.add_document(manifest, self._home)

    def _read_manifest(self, ref: str) -> None:
        """A manifest that was not read before: it never changes."""
        if ref in self._read or ref.endswith(_VIEW):
            return
        manifest = read_standing_manifest(ref, self._context)
        self.roots.add_document(manifest, self._home)
        self.roots.datasets.add(manifest["dataset_manifest_id"])
        self.roots.plans.add(manifest["plan_id"])
        self._read.add(ref)

    def _list(self, folder: str) -> list[str]:
        listed = self._context.clearable.list_objects(folder)
        return [one.ref for one in listed if not is_unfinished(one.ref)]


@contextmanager
def _map_unreadable() -> Iterator[None]:
    """What cannot be read is RootsUnreadable, whatever the reason."""
    try:
        yield
    except ObjectTooLarge as error:
        raise RootsUnreadable(str(error)) from None
    except (Refusal, OSError) as error:
        raise RootsUnreadable(error.message if isinstance(error, Refusal) else f"no answer: {error}") from None
