"""The one clock is PostgreSQL's; those of the hosts may be wrong."""

from datetime import UTC, datetime
from typing import Any

from jobs.store import caller


def now(cursor: Any = None) -> datetime:
    """The time in the database, also within a transaction that began long ago; over the caller's connection without a cursor.

    With its zone, also where USE_TZ is off and Django's cursors leave that away.
    """
    if cursor is None:
        return caller.ask(now)
    cursor.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
    moment: datetime = cursor.fetchone()[0]
    return moment.replace(tzinfo=UTC)
