"""Whether a pooler (PgBouncer) answers in PostgreSQL's place: it gives each transaction another session, without its locks and LISTEN."""

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

CHECK = "jobs.E007"


class PoolerBetween(Exception):
    """The engine's connection leads to a pooler; the text says what to set."""


def is_between(connection: Any, cursor: Any) -> bool:
    """Whether the session that answers is not the one that was connected to."""
    cursor.execute("SELECT pg_backend_pid()")
    return bool(cursor.fetchone()[0] != connection.info.backend_pid)


def refuse(connection: Any) -> None:
    """Raises PoolerBetween where workers and leaders would start and run nothing, unless somebody has silenced the check that says so."""
    with connection.cursor() as cursor:
        if is_between(connection, cursor) and CHECK not in settings.SILENCED_SYSTEM_CHECKS:
            raise PoolerBetween(" ".join((_("A pooler (PgBouncer) answers at the address of PostgreSQL."), remedy())))


def remedy() -> str:
    """What to set."""
    return _("Point DATABASE_DIRECT_URL (JOBS_DATABASE_DIRECT_URL) at PostgreSQL itself; workers and leaders need sessions of its own.")
