"""What PostgreSQL refused because of somebody else's locks: the same may go well in a moment."""

from typing import Any, Final

_LOCKED: Final = ("55P03", "40P01")  # lock_timeout; deadlock


def is_one(error: Exception) -> bool:
    """Whether an error of Django's is one, with psycopg2 and psycopg 3 alike."""
    return _state(error) in _LOCKED


def _state(error: Exception) -> str:
    cause: Any = error.__cause__
    return getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None) or ""
