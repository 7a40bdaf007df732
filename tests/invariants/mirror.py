"""A bucket and a Postgres ledger as the checker looks at them: copied to a folder and an SQLite file, without the package."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

TABLES = ("ofs_run", "ofs_run_event")


def mirror_bucket(client: Any, bucket: str, prefix: str, folder: Path) -> Path:
    """The folder with every object below the prefix, and nothing else. client: of boto3."""
    found: dict[Path, bytes] = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
        for one in page.get("Contents", ()):
            inside = folder / one["Key"].removeprefix(f"{prefix}/")
            with closing(client.get_object(Bucket=bucket, Key=one["Key"])["Body"]) as body:
                found[inside] = body.read()
    for stale in [path for path in folder.rglob("*") if path.is_file() and path not in found]:
        stale.unlink()
    for path, content in found.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def mirror_ledger(dsn: str, file: Path) -> Path:
    """The SQLite file with the tables as they stand in the database; none where it has none."""
    import psycopg  # not needed by whoever checks folders

    file.unlink(missing_ok=True)
    with psycopg.connect(dsn) as source:
        have = {
            name for (name,) in source.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        }
        if not set(TABLES) <= have:
            return file
        with closing(sqlite3.connect(file)) as made:
            for table in TABLES:
                rows = source.execute(f"SELECT * FROM {table} ORDER BY ordinal")
                _copy(made, table, [column.name for column in rows.description or ()], rows)
            made.commit()
    return file


def _copy(made: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    named = ", ".join(f'"{column}"' for column in columns)
    made.execute(f"CREATE TABLE {table} ({named})")
    made.executemany(f"INSERT INTO {table} ({named}) VALUES ({', '.join('?' * len(columns))})", rows)
