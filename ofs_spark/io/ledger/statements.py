"""What a ledger asks of its database, as text: the schema's versions, and one statement per act.

Values are named parameters (`:run_key`). The statements keep to the SQL that SQLite (3.24 or newer) and PostgreSQL
share; only the migrations are of one dialect. Columns stand in the order of the fields of `Run` and `Transition`.
"""

from __future__ import annotations

_RUN_TABLE = """CREATE TABLE ofs_run (
    ordinal INTEGER PRIMARY KEY, run_key TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL, intent_hash TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, publish_retries INTEGER NOT NULL, token INTEGER NOT NULL,
    owner TEXT NOT NULL, lease_until BIGINT, publish_only BOOLEAN NOT NULL, outcome TEXT)"""
_EVENT_TABLE = """CREATE TABLE ofs_run_event (
    ordinal INTEGER PRIMARY KEY, run_key TEXT NOT NULL, "at" BIGINT NOT NULL, token INTEGER NOT NULL,
    "before" TEXT, "after" TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL)"""
_EVENTS_OF_RUN = "CREATE INDEX ofs_run_event_of_run ON ofs_run_event (run_key, ordinal)"
_NEVER = "BEFORE {} ON ofs_run_event BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
_EVENTS_KEPT = "CREATE TRIGGER ofs_run_event_kept " + _NEVER.format("DELETE")
_EVENTS_FIXED = "CREATE TRIGGER ofs_run_event_fixed " + _NEVER.format("UPDATE")

_PLATFORM_RUN = "ALTER TABLE ofs_run ADD COLUMN platform_run_id TEXT"
_PLATFORM_RUN_KNOWN = """UPDATE ofs_run
    SET platform_run_id = substr(json_extract(outcome, '$.manifest_ref'), 1,
                                 instr(json_extract(outcome, '$.manifest_ref'), '/') - 1)
    WHERE json_valid(outcome) AND instr(coalesce(json_extract(outcome, '$.manifest_ref'), ''), '/') > 1"""
_RUNS_OF_PLATFORM_RUN = "CREATE INDEX ofs_run_of_platform_run ON ofs_run (platform_run_id, run_key, token)"

MIGRATIONS = (
    (_RUN_TABLE, _EVENT_TABLE, _EVENTS_OF_RUN, _EVENTS_KEPT, _EVENTS_FIXED),
    (_PLATFORM_RUN, _PLATFORM_RUN_KNOWN, _RUNS_OF_PLATFORM_RUN),
)
"""SQLite's statements of each schema version, oldest first. A published version is never edited; a change is a new one.

A plain list keeps the start of a command fast: a migration framework's import alone takes longer than all of them.
"""

INSERT_RUN = """
INSERT INTO ofs_run (run_key, request_id, intent_hash, state, attempts, publish_retries, token, owner, lease_until,
                     publish_only, outcome, platform_run_id)
VALUES (:run_key, :request_id, :intent_hash, :state, :attempts, :publish_retries, :token, :owner, :lease_until,
        :publish_only, :outcome, :platform_run_id)
ON CONFLICT (run_key) DO NOTHING"""
"""Inserts one row, or none where the run stands."""

INSERT_EVENT = """
INSERT INTO ofs_run_event (run_key, "at", token, "before", "after", reason, detail)
VALUES (:run_key, :at, :token, :before, :after, :reason, :detail)"""

CHANGE_RUN = """
UPDATE ofs_run
SET request_id = :request_id, intent_hash = :intent_hash, state = :state, attempts = :attempts,
    publish_retries = :publish_retries, token = :token, owner = :owner, lease_until = :lease_until,
    publish_only = :publish_only, outcome = :outcome, platform_run_id = :platform_run_id
WHERE run_key = :run_key AND token = :seen_token AND state = :seen_state"""
"""Changes one row if the run is as it was seen, else none."""

TAKE_RUN = (
    CHANGE_RUN
    + """
AND (lease_until = :seen_lease OR (lease_until IS NULL AND CAST(:seen_lease AS BIGINT) IS NULL))"""
)
"""As CHANGE_RUN, and only if no heartbeat moved the lease: for a change of token."""

EXTEND_LEASE = """
UPDATE ofs_run SET lease_until = :lease_until
WHERE run_key = :run_key AND token = :token AND state = 'RUNNING'"""

TABLES = ("", "(SELECT *, NULL AS platform_run_id FROM ofs_run)", "ofs_run")
"""By schema version, what a query takes for the table of runs: reading an older ledger does not migrate it."""

_RUNS = """
SELECT run_key, request_id, intent_hash, state, attempts, publish_retries, token, owner, lease_until, publish_only,
       outcome, platform_run_id
FROM {runs} AS runs"""

FIND_RUN = f"{_RUNS} WHERE run_key = :run_key"
LIST_RUNS = f"{_RUNS} ORDER BY ordinal DESC LIMIT :most"
COUNT_RUNS = "SELECT count(*) AS found FROM {runs} AS runs"
LIST_TOKENS = """
SELECT run_key, token FROM {runs} AS runs WHERE platform_run_id = :platform_run_id
UNION ALL
SELECT run_key, token FROM (
    SELECT run_key, token FROM {runs} AS runs WHERE platform_run_id IS NULL ORDER BY ordinal DESC LIMIT :unplaced)"""
FIND_PUBLISHERS = f"{_RUNS} WHERE outcome LIKE :pattern ORDER BY ordinal"
"""Runs whose outcome holds a text, as a first sieve."""

LIST_EVENTS = """
SELECT run_key, "at", token, "before", "after", reason, detail
FROM ofs_run_event WHERE run_key = :run_key ORDER BY ordinal"""
