"""Changes that go in a transaction of their own, over connections that are kept for the next one."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import gevent
import psycopg2

from jobs.store.engine import answer, connect, is_lost, is_transient

PAUSE_S = 0.25


class OwnWrites:
    """Under gevent; any number at once, each over a connection of its own."""

    def __init__(self, worker_id: int) -> None:
        self.worker_id = worker_id
        self.idle: list[Any] = []

    def write(
        self, change: Callable[[Any], Any], *, single: bool = False, written: Callable[[Any], Any] | None = None, doubt: bool = False
    ) -> Any:
        """Run `change` in a transaction of its own, until PostgreSQL has answered. `single`: it is one statement.

        `written` is asked when a change is refused after the connection was lost (`doubt`: before this call): was it committed then?
        """
        while True:
            connection = None
            try:
                connection = self.idle.pop() if self.idle else connect(f"jobs-engine {self.worker_id}")
                connection.autocommit = single
                with nullcontext() if single else connection, connection.cursor() as cursor:
                    found = answer(cursor, change, written, doubt)
                self.idle.append(connection)
                return found
            except psycopg2.Error as error:
                if connection is not None and is_transient(error) and not is_lost(error):
                    self.idle.append(connection)
                elif connection is not None:
                    connection.close()
                if not is_transient(error):
                    raise
                doubt = doubt or is_lost(error)
                gevent.sleep(PAUSE_S)

    def close(self) -> None:
        """End the connections that nobody uses."""
        while self.idle:
            self.idle.pop().close()
