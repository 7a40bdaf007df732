"""The object store port's adapters: a folder, and the in-memory twin."""
