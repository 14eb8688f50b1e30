"""What PostgreSQL refused because of somebody else's locks: the same may go well in a moment."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from django.db import OperationalError, connections

from jobs.conf import configuration

P = ParamSpec("P")
T = TypeVar("T")
TRIES: Final = 3
_DEADLOCK: Final = "40P01"
_LOCKED: Final = (_DEADLOCK, "55P03")  # the other one is lock_timeout's


def is_one(error: Exception) -> bool:
    """Whether an error of Django's is one, with psycopg2 and psycopg 3 alike."""
    return code_of(error) in _LOCKED


def made_again(verb: Callable[P, T]) -> Callable[P, T]:
    """A verb that is one transaction, begun anew where PostgreSQL ended it to undo a deadlock: TRIES in all. In a transaction of the
    caller's the error is the caller's, for the locks taken before stay."""

    @wraps(verb)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        for _try in range(TRIES - 1):
            try:
                return verb(*args, **kwargs)
            except OperationalError as error:
                db = connections[configuration().database]
                if code_of(error) != _DEADLOCK or db.in_atomic_block or not db.get_autocommit():
                    raise
        return verb(*args, **kwargs)

    return tried


def code_of(error: Exception) -> str:
    """PostgreSQL's code of what it refused, with psycopg2 and psycopg 3 alike; empty where it has said none."""
    cause: Any = error.__cause__
    return getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None) or ""
