"""Changes that go in a transaction of their own, over connections that are kept for the next one."""

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import psycopg2

from jobs.store.engine import PASSING, answer, is_lost, is_transient
from jobs.worker.refused import not_yet

PAUSE_S = 0.25


class OwnWrites:
    """Any number at once, by greenlets or threads, each over a connection of its own: none waits for what another one writes."""

    def __init__(self, connect: Callable[[], Any], sleep: Callable[[float], object] = time.sleep) -> None:
        self._connect, self._sleep = connect, sleep
        self._idle: list[Any] = []

    def write(
        self,
        change: Callable[[Any], Any],
        *,
        single: bool = False,
        written: Callable[[Any], Any] | None = None,
        doubt: bool = False,
        job: int | None = None,
    ) -> Any:
        """Run `change` in a transaction of its own, until PostgreSQL has answered. `single`: it is one statement.

        `written` is asked when a change is refused after the connection was lost (`doubt`: before this call): was it committed then?
        `job`: whose end it is, for the log.
        """
        complaint = None
        while True:
            connection = None
            try:
                connection = self._taken()
                connection.autocommit = single
                with nullcontext() if single else connection, connection.cursor() as cursor:
                    found = answer(cursor, change, written, doubt)
                self._idle.append(connection)
                return found
            except psycopg2.Error as error:
                if connection is not None and isinstance(error, PASSING):
                    self._idle.append(connection)
                elif connection is not None:
                    connection.close()
                if not is_transient(error):
                    raise
                doubt = doubt or is_lost(error)
                complaint = complaint or not_yet(job)
                complaint.say(_reason(error))
                self._sleep(PAUSE_S)  # the server is away, or somebody keeps a row: the outcome is kept and written after
            except BaseException:  # of `change` itself, or a greenlet that is killed: what the session is in the midst of, nobody knows
                if connection is not None:
                    connection.close()
                raise

    def _taken(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def close(self) -> None:
        """End the connections that nobody uses; a worker inside another program (Celery's testing tools) leaves none behind."""
        while self._idle:
            self._idle.pop().close()


def _reason(error: Exception) -> Exception:
    """What a failed connect means where libpq says nothing: no descriptor is left to this process."""
    if not str(error).strip():
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as found:
            return found
    return error
