"""kombu's connections, but `celery purge` reaches the rows: what it takes out of a queue is cancelled, not sent again."""

from functools import cache
from typing import Any, Final

import kombu
from django.db import connections, transaction

from jobs.conf import configuration
from jobs.store import interventions

BATCH: Final = 5000  # rows cancelled in one transaction
_WAITING: Final = "SELECT id FROM jobs_job WHERE queue = %s AND status = 'pending' ORDER BY id LIMIT %s"


class Connection(kombu.Connection):
    """A connection whose channels purge rows."""

    def get_transport_cls(self) -> Any:
        """kombu's transport for the address, with our channel."""
        return _with_rows(super().get_transport_cls())


def purge(queue: str) -> int:
    """Cancel all jobs that wait in a queue, those for later too; how many."""
    alias, cancelled = configuration().database, 0
    while True:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(_WAITING, [queue, BATCH])
            found = [row[0] for row in cursor.fetchall()]
            cancelled += len(interventions.cancel_pending(cursor, found))
        if len(found) < BATCH:
            return cancelled


@cache
def _with_rows(transport: Any) -> Any:
    class Channel(transport.Channel):
        def _purge(self, queue: str) -> int:
            cancelled = purge(queue)
            super()._purge(queue)  # their messages; should one be left, its claim is refused
            return cancelled

    return type(transport.__name__, (transport,), {"Channel": Channel, "__module__": __name__})
