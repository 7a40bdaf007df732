"""The table as it is stored: its list of files, its log as a reader sees it, and what the rows of every file say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ofs_spark.foundation.clock import parse_instant
from ofs_spark.foundation.refs import name_table_log
from ofs_spark.foundation.wording import write_count
from ofs_spark.labels.terms import find_cutoff, find_mature_until_us
from ofs_spark.pins.columns import Column
from ofs_spark.publish.delta_log import read_log, verify_log
from ofs_spark.publish.digest import digest_content
from ofs_spark.publish.file_list import FileList, read_file_list
from ofs_spark.publish.manifest import BUCKETS_LISTED, digest_buckets, has_no_room
from ofs_spark.publish.model import FileEntry
from ofs_spark.publish.verify import Checks, FileCheck
from ofs_spark.publish.verify_job import verify_table
from ofs_spark.workflow.checks import AGREES, Check, Finding, compare, run_check
from ofs_spark.workflow.context import RunContext
from ofs_spark.workflow.manifests import list_columns


@dataclass
class StoredTable:
    """A published table and what was read of it so far; `checked` stays None where a file is not what the list says."""

    manifest: Mapping[str, Any]
    context: RunContext
    entries: Sequence[FileEntry] = ()
    checked: FileCheck | None = None
    content_digest: str = ""
    checks: list[Check] = field(default_factory=list)

    def read(self) -> None:
        """Reads the list of files, the log and every file, and judges them."""
        self.checks.append(run_check("file list", self._judge_list))
        if self.entries:
            self.checks.append(run_check("delta table", self._judge_log))
            self.checks.append(run_check("unlisted files", self._count_unlisted))
            self.checks.append(run_check("table", self._judge_files))
        if self.checked is not None:
            self.checks.append(run_check("buckets", partial(self._judge_buckets, self.checked)))

    @property
    def _table(self) -> Mapping[str, Any]:
        table: Mapping[str, Any] = self.manifest["materialization"]
        return table

    @property
    def _columns(self) -> list[Column]:
        return list_columns(self.manifest)

    @property
    def _schema(self) -> tuple[tuple[str, str], ...]:
        return tuple((column.name, column.type) for column in self._columns)

    def _judge_list(self) -> Finding:
        files, listed = self._table["files"], FileList.from_manifest(self.manifest)
        self.entries = read_file_list(self.context.objects, listed, [column.name for column in self._columns])
        found = {"count": files["count"], "bytes": files["bytes"]}
        return compare(found, {"count": len(self.entries), "bytes": sum(entry.bytes for entry in self.entries)})

    def _judge_log(self) -> Finding:
        path = self._table["path"]
        log = read_log(self.context.objects, path)
        verify_log(log, path, self._columns, self.entries)
        named = ("plan_id", "dataset_manifest_id")
        found = {name: log.commit.get(f"ofs.{name}") for name in named} | {
            "folders": sorted({entry.path.rsplit("/", 1)[0] for entry in self.entries})
        }
        return compare(found, {name: self.manifest[name] for name in named} | {"folders": [path]})

    def _count_unlisted(self) -> Finding:
        """Files of the table's folder that the log does not name are of no reader's table: they are told, no more."""
        log = f"{name_table_log(self._table['path'])}/"
        stored = {ref for ref in self.context.objects.list_below(self._table["path"]) if not ref.startswith(log)}
        unlisted = sorted(stored - {entry.path for entry in self.entries})
        found = (
            f"{write_count(len(unlisted), 'file')} that no reader of the table sees, first {unlisted[0]}"
            if unlisted
            else "none"
        )
        return found, found

    def _judge_files(self) -> Finding:
        """The content digest recomputed from every stored file, and the one published."""
        labels = self.manifest["labels"]
        cutoff = find_cutoff(labels["posture"], labels["label_asof_utc"], labels["extract"]["committed_up_to_utc"])
        mature = find_mature_until_us(labels["label_asof_utc"], labels.get("maturity_days"))
        checks = Checks(
            self._schema,
            tuple(labels["types"]),
            parse_instant(cutoff),
            mature,
            {},
            self.context.policy.most_decoded_bytes,
        )
        engine = self.context.engine(sum(entry.rows for entry in self.entries), "")
        self.context.announce("publish", f"recomputes the digests of every stored file, of {len(self.entries):,}")
        self.checked = verify_table(engine, self.context.objects, self.entries, checks)
        self.content_digest = digest_content(self._schema, self.checked.leaves)
        return self.content_digest, self._table["content_digest"]

    def _judge_buckets(self, checked: FileCheck) -> Finding:
        buckets = self._table["layout"]["buckets"]
        listed = self._table.get("bucket_digests")
        if listed is None and (buckets > BUCKETS_LISTED or has_no_room(self.manifest)):
            return AGREES, AGREES
        return compare({"bucket_digests": listed}, {"bucket_digests": digest_buckets(checked.leaves, buckets)})
