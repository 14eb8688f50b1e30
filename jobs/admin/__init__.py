"""Django's own admin: it shows rows and calls the verbs; nothing is edited in place."""

from jobs.admin import dead_letter, job

__all__ = ["dead_letter", "job"]
