"""kombu's connections, but `celery purge` reaches the rows: what it takes out of a queue is cancelled, not sent again.

Those of a worker go on without a channel that the ACL of Redis keeps from them. Those of one that was told to stop wait no longer for
a Redis that hangs: Celery's loop asks it several things, one after the other, before it looks whether it shall stop.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import kombu
from django.db import connections, transaction
from kombu.connection import ConnectionPool
from kombu.transport import virtual
from redis.exceptions import NoPermissionError

from jobs.celery_app.sealed import Sealed
from jobs.conf import configuration
from jobs.store import interventions

BATCH: Final = 5000  # rows cancelled in one transaction
LAST_S: Final = 0.5  # a connection that is made by a worker which stops waits so long for an answer
_WAITING: Final = "SELECT id FROM jobs_job WHERE queue = %s AND status = 'pending' ORDER BY id LIMIT %s"


def _never() -> bool:
    return False


def _nothing(channel: Any, error: Exception) -> bool:
    return False


is_stopping: Callable[[], bool] = _never  # a worker's process puts its own here
may_lack: Callable[[Any, Exception], bool] = _nothing  # and here: whether it goes on without what this channel subscribes to


class Connection(kombu.Connection):
    """A connection whose channels purge rows."""

    def get_transport_cls(self) -> Any:
        """kombu's transport for the address, with our channel."""
        return _with_rows(super().get_transport_cls())

    def Pool(self, limit: int | None = None, **kwargs: Any) -> ConnectionPool:
        """kombu's pool, of connections like this one."""
        return _Pool(self, limit, **kwargs)


class _Pool(ConnectionPool):
    def new(self) -> Any:
        """kombu 5.7 makes them of a class of its own, earlier ones are copies of the connection."""
        made: Any = super().new()
        made.__class__ = _pooled(made.__class__)
        return made


@cache
def _pooled(kind: type) -> type:
    return kind if issubclass(kind, Connection) else type(kind.__name__, (kind, Connection), {"__module__": __name__})


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
        Message = Sealed if transport.Channel.Message is virtual.Message else transport.Channel.Message

        def _purge(self, queue: str) -> int:
            cancelled = purge(queue)
            super()._purge(queue)  # their messages; should one be left, its claim is refused
            return cancelled

        def _receive_one(self, c: Any) -> Any:
            try:
                return super()._receive_one(c)
            except NoPermissionError as error:  # the answer to PSUBSCRIBE
                if not may_lack(self, error):
                    raise

        def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
            found: dict[str, Any] = super()._connparams(asynchronous=asynchronous)
            return found | {"connection_class": _hasty(found["connection_class"])}

    return type(transport.__name__, (transport,), {"Channel": Channel, "__module__": __name__})


def _hasty(connection: Any) -> Any:
    """Not kept: kombu makes a class for each channel, which would live on in it with all its connections."""

    class Connection(connection):
        def connect(self) -> None:
            if is_stopping():
                self.socket_timeout = self.socket_connect_timeout = LAST_S
            super().connect()

    return Connection
