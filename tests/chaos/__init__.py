"""Faults while jobs run, and a ledger outside the system that says what became of every accepted job."""
