"""Doors for other ways to write tasks."""
