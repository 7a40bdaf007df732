"""The ledger port's adapters: one body of SQL statements, SQLite, and the in-memory twin."""
