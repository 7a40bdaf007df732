"""Servers for tests, on 127.0.0.1 and free ports, started and stopped by the test set-up."""
