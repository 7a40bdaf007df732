"""What a ledger asks of its database, as text: the schema's versions, and one statement per act.

Values are named parameters (`:run_key`). The statements keep to the SQL that SQLite (3.24 or newer) and PostgreSQL (13 or
newer) share. What the two say differently in a schema stands in one small table for each, `SQLITE` and `POSTGRESQL`.
Columns stand in the order of the fields of `Run` and `Transition`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Dialect = Mapping[str, str]
"""What a migration's `{name}` stands for in one database."""

SQLITE: Dialect = {
    "ordinal": "INTEGER PRIMARY KEY",
    "text": "TEXT",
    "is_json": "json_valid(outcome)",
    "manifest_ref": "coalesce(json_extract(outcome, '$.manifest_ref'), '')",
    "dataset": "json_extract(outcome, '$.dataset_manifest_id')",
    "find": "instr",
    "function": "",
    "kept": "BEFORE DELETE ON ofs_run_event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "fixed": "BEFORE UPDATE ON ofs_run_event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "whole": "",
}
_PREVENT = "ON ofs_run_event FOR EACH {} EXECUTE FUNCTION ofs_run_event_never()"
POSTGRESQL: Dialect = {
    "ordinal": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "text": 'TEXT COLLATE "C"',  # a range of keys is one of code points, whatever the database's language
    "is_json": "outcome IS NOT NULL",
    "manifest_ref": "coalesce(outcome::json ->> 'manifest_ref', '')",
    "dataset": "outcome::json ->> 'dataset_manifest_id'",
    "find": "strpos",
    "function": """CREATE FUNCTION ofs_run_event_never() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'events are append-only'; END$$""",
    "kept": "BEFORE DELETE " + _PREVENT.format("ROW"),
    "fixed": "BEFORE UPDATE " + _PREVENT.format("ROW"),
    "whole": "CREATE TRIGGER ofs_run_event_whole BEFORE TRUNCATE " + _PREVENT.format("STATEMENT"),
}

_RUN_TABLE = """CREATE TABLE ofs_run (
    ordinal {ordinal}, run_key {text} NOT NULL UNIQUE, request_id TEXT NOT NULL, intent_hash TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, publish_retries INTEGER NOT NULL, token INTEGER NOT NULL,
    owner TEXT NOT NULL, lease_until BIGINT, publish_only BOOLEAN NOT NULL, outcome TEXT)"""
_EVENT_TABLE = """CREATE TABLE ofs_run_event (
    ordinal {ordinal}, run_key {text} NOT NULL, "at" BIGINT NOT NULL, token INTEGER NOT NULL,
    "before" TEXT, "after" TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL)"""
_EVENTS_OF_RUN = "CREATE INDEX ofs_run_event_of_run ON ofs_run_event (run_key, ordinal)"
_EVENTS_KEPT = "CREATE TRIGGER ofs_run_event_kept {kept}"
_EVENTS_FIXED = "CREATE TRIGGER ofs_run_event_fixed {fixed}"

_PLATFORM_RUN = "ALTER TABLE ofs_run ADD COLUMN platform_run_id TEXT"
_PLATFORM_RUN_KNOWN = """UPDATE ofs_run
    SET platform_run_id = substr({manifest_ref}, 1, {find}({manifest_ref}, '/') - 1)
    WHERE {is_json} AND {find}({manifest_ref}, '/') > 1"""
_RUNS_OF_PLATFORM_RUN = "CREATE INDEX ofs_run_of_platform_run ON ofs_run (platform_run_id, run_key, token)"

_STOP_ASKED = "ALTER TABLE ofs_run ADD COLUMN stop_asked INTEGER"

_DATASET = "ALTER TABLE ofs_run ADD COLUMN dataset_manifest_id {text}"
_PUBLISHED_AT = "ALTER TABLE ofs_run ADD COLUMN published_at BIGINT"
_DATASETS_KNOWN = """UPDATE ofs_run
    SET dataset_manifest_id = {dataset},
        published_at = (SELECT max("at") FROM ofs_run_event AS told WHERE told.run_key = ofs_run.run_key)
    WHERE {is_json} AND {manifest_ref} <> ''"""
_DATASETS = """CREATE INDEX ofs_run_of_dataset ON ofs_run (dataset_manifest_id, published_at, platform_run_id)
    WHERE dataset_manifest_id IS NOT NULL"""

_MIGRATIONS = (
    (_RUN_TABLE, _EVENT_TABLE, _EVENTS_OF_RUN, "{function}", _EVENTS_KEPT, _EVENTS_FIXED, "{whole}"),
    (_PLATFORM_RUN, _PLATFORM_RUN_KNOWN, _RUNS_OF_PLATFORM_RUN),
    (_STOP_ASKED,),
    (_DATASET, _PUBLISHED_AT, _DATASETS_KNOWN, _DATASETS),
)


def write_migrations(dialect: Dialect) -> Sequence[Sequence[str]]:
    """One database's statements of each schema version, oldest first.

    A published version is never edited; a change is a new one. A plain list keeps the start of a command fast: a
    migration framework's import alone takes longer than all of them.
    """
    return [[made for text in migration if (made := text.format(**dialect))] for migration in _MIGRATIONS]


VERSION = len(_MIGRATIONS)
"""The schema version of this release."""

INSERT_RUN = """
INSERT INTO ofs_run (run_key, request_id, intent_hash, state, attempts, publish_retries, token, owner, lease_until,
                     publish_only, outcome, platform_run_id, stop_asked, dataset_manifest_id, published_at)
VALUES (:run_key, :request_id, :intent_hash, :state, :attempts, :publish_retries, :token, :owner, :lease_until,
        :publish_only, :outcome, :platform_run_id, :stop_asked, :dataset_manifest_id, :published_at)
ON CONFLICT (run_key) DO NOTHING"""
"""Inserts one row, or none where the run stands."""

INSERT_EVENT = """
INSERT INTO ofs_run_event (run_key, "at", token, "before", "after", reason, detail)
VALUES (:run_key, :at, :token, :before, :after, :reason, :detail)"""

CHANGE_RUN = """
UPDATE ofs_run
SET request_id = :request_id, intent_hash = :intent_hash, state = :state, attempts = :attempts,
    publish_retries = :publish_retries, token = :token, owner = :owner, lease_until = :lease_until,
    publish_only = :publish_only, outcome = :outcome, platform_run_id = :platform_run_id,
    stop_asked = :stop_asked, dataset_manifest_id = :dataset_manifest_id, published_at = :published_at
WHERE run_key = :run_key AND token = :seen_token AND state = :seen_state"""
"""Changes one row if the run is as it was seen, else none."""

TAKE_RUN = (
    CHANGE_RUN
    + """
AND (lease_until = :seen_lease OR (lease_until IS NULL AND CAST(:seen_lease AS BIGINT) IS NULL))"""
)
"""As CHANGE_RUN, and only if no heartbeat moved the lease: for a run that is RUNNING afterwards."""

EXTEND_LEASE = """
UPDATE ofs_run SET lease_until = :lease_until
WHERE run_key = :run_key AND token = :token AND state = 'RUNNING'"""

TABLES = (
    "",
    "(SELECT *, NULL AS platform_run_id, NULL AS stop_asked FROM ofs_run)",
    "(SELECT *, NULL AS stop_asked FROM ofs_run)",
    "ofs_run",
    "ofs_run",
)
"""By schema version, what a query takes for the table of runs: reading an older ledger does not migrate it."""
KNOWS_DATASETS = 4
"""The schema version from which on a run's row names the dataset that it ended with."""

_SELECT = """
SELECT run_key, request_id, intent_hash, state, attempts, publish_retries, token, owner, lease_until, publish_only,
       outcome, platform_run_id, stop_asked{more}
FROM {runs} AS runs"""
_BEGAN_AND_ENDED = """,
       (SELECT "at" FROM ofs_run_event AS told
        WHERE told.run_key = runs.run_key AND "after" = 'RUNNING' ORDER BY ordinal LIMIT 1),
       (SELECT CASE WHEN "after" IN ('DONE', 'FAILED', 'PUBLISH_PENDING') THEN "at" END FROM ofs_run_event AS told
        WHERE told.run_key = runs.run_key ORDER BY ordinal DESC LIMIT 1)"""
_RUNS, _DATED_RUNS = (_SELECT.replace("{more}", more) for more in ("", _BEGAN_AND_ENDED))

FIND_RUN = f"{_RUNS} WHERE run_key = :run_key"
LIST_RUNS = f"{_RUNS} ORDER BY ordinal DESC LIMIT :most"
LIST_DATED = f"""{_DATED_RUNS}
WHERE CAST(:state AS TEXT) IS NULL OR state = :state ORDER BY ordinal DESC LIMIT :most"""
"""Runs, each with the times of its first claim and of its last attempt's end."""

LIST_KEYS = "SELECT run_key FROM {runs} AS runs WHERE run_key >= :start AND run_key < :stop ORDER BY run_key"
COUNT_RUNS = "SELECT count(*) AS found FROM {runs} AS runs"
LIST_TOKENS = """
SELECT run_key, token FROM {runs} AS runs WHERE platform_run_id = :platform_run_id
UNION ALL
SELECT run_key, token FROM (
    SELECT run_key, token FROM {runs} AS runs
    WHERE platform_run_id IS NULL ORDER BY ordinal DESC LIMIT :unplaced) AS latest"""
FIND_PUBLISHERS = f"{_RUNS} WHERE outcome LIKE :pattern ESCAPE '!' ORDER BY ordinal"
"""Runs whose outcome holds a text, as a first sieve."""
LIST_DATASETS = """
SELECT dataset_manifest_id, min(platform_run_id), min(published_at) FROM {runs} AS runs
WHERE dataset_manifest_id >= :start AND dataset_manifest_id < :stop AND platform_run_id IS NOT NULL
GROUP BY dataset_manifest_id ORDER BY min(published_at) DESC, dataset_manifest_id"""
"""Read from the index alone."""

LIST_EVENTS = """
SELECT run_key, "at", token, "before", "after", reason, detail
FROM ofs_run_event WHERE run_key = :run_key ORDER BY ordinal"""
