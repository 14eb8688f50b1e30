"""Django's own admin: it shows rows and calls the verbs; nothing is edited in place."""

from jobs.admin import audit, dead_letter, job

__all__ = ["audit", "dead_letter", "job"]
