"""One statement in the caller's transaction, by a short way.

A cursor of Django's is made anew for each use, and looks each time at what hardly ever changes: 25 of the 475 microseconds of an
`enqueue()`. So the driver's cursor is kept with the connection and used where Django would do nothing more than use it; everything
else goes Django's way.
"""

import asyncio
from collections.abc import Sequence
from types import FunctionType
from typing import Any, Final

from django.db.backends import utils
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from jobs.store.kept import KeptCursor

_KEPT: Final = "_jobs_cursor"
_REPLACED: Final = ("cursor", "_cursor", "_prepare_cursor", "make_cursor")
_way: list[Any] = []  # what Django's way was when it was last found to be Django's own


def first_row(db: Any, statement: str, values: Sequence[Any]) -> Any:
    """Execute it over Django's connection; the first row of the answer, None where there is none. Raises what Django's cursor raises."""
    if not _is_short(db):
        with db.cursor() as own:
            own.execute(statement, values)
            return own.fetchone() if own.description else None
    kept = db.__dict__.pop(_KEPT, None)  # so that nobody who is called meanwhile uses it too
    if kept is None or kept.connection is not db.connection:
        kept = KeptCursor(db.create_cursor, db.connection)
    try:
        with db.wrap_database_errors:
            return kept.first_row(statement, values)
    finally:
        db.__dict__[_KEPT] = kept


def forget(db: Any) -> None:
    """Its session is about to be emptied, as by DISCARD ALL."""
    db.__dict__.pop(_KEPT, None)


def _is_short(db: Any) -> bool:
    return not (
        is_psycopg3
        or db.connection is None
        or db.needs_rollback
        or db.execute_wrappers
        or db.queries_logged
        or (db.health_check_enabled and not db.health_check_done)
        or asyncio._get_running_loop() is not None
        or not _is_djangos(db)
    )


def _is_djangos(db: Any) -> bool:
    """Whether no library has put code of its own around Django's cursors (sentry-sdk, ddtrace, django-tenants, the debug toolbar)."""
    kind, wrapper = type(db), utils.CursorWrapper
    way = [kind.cursor, kind._cursor, kind._prepare_cursor, kind.make_cursor, wrapper.execute, wrapper._execute]  # type: ignore[attr-defined]
    if way != _way:
        if not all(type(step) is FunctionType and step.__globals__["__name__"].startswith("django.") for step in way):
            return False
        _way[:] = way
    own = vars(db)
    return not any(name in own for name in _REPLACED)
