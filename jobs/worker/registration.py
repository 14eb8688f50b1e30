"""This process's row in jobs_worker and its lock, which PostgreSQL frees the moment the process dies."""

import json
import logging
import math
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from psycopg2 import OperationalError
from psycopg2.errors import QueryCanceled

from jobs.domain import pace
from jobs.domain.complaint import Complaint, first_line
from jobs.store import locks
from jobs.store.engine import LOST, connect
from jobs.store.transitions import RUNNING
from jobs.worker.mute import MUTE_S, cut

logger = logging.getLogger("jobs.worker")
_LOOK = """
SELECT EXISTS (SELECT FROM jobs_worker WHERE id = %(id)s), extract(epoch FROM clock_timestamp())::float,
       EXISTS (SELECT FROM jobs_aftermath),
       (SELECT json_agg(json_build_array(id, runs, cancel_requested_at IS NOT NULL, task_id))
          FROM jobs_job WHERE worker = %(id)s AND {}), extract(epoch FROM clock_timestamp() - statement_timestamp())::float"""
_WHOLE, _BRIEF = _LOOK.format("status = 'running'"), _LOOK.format(f"id = ANY (%(held)s) AND {RUNNING}")
# Seconds that an answer may take before nothing more is admitted, and before PostgreSQL gives the question up: after MUTE_S it is not
# merely slow.
SLOW_S, GIVEN_UP_S = 3.0, 8.0
# A limit of the role's own would end the look earlier, and the session with it where it is one of transactions (PostgreSQL 17).
_SESSION = """SET statement_timeout = %s; SET lock_timeout = 0;
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'"""
_JSON = ("queues", "tasks", "versions")


class Registration:
    """Holds the lock on a connection of its own. Without the lock nothing is admitted."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.connection: Any = None
        self.skew = 0.0  # seconds that this host's clock is ahead of the database's
        self.session = 0  # PostgreSQL's number of the session that holds the lock, or held it last
        self.id = 0
        # At the last look: jobs of this process, their runs, whether to be cancelled, their task_ids; and whether these are all.
        self.running: list[tuple[int, int, bool, str]] = []
        self.is_whole, self.whole_at = True, 0.0
        self.untold = False  # at the last look: of the end of some job something is still to be told
        self.has_something: Callable[[], Any] = list  # asks the connection's socket
        self.turn = threading.Lock()  # one statement at a time
        self.asked = math.inf  # time.monotonic() since when one is on its way
        self.refused = Complaint(logger, "the worker's lock cannot be taken again", logging.ERROR)
        self.given_up = Complaint(logger, "a look at this worker's rows was given up; it is tried again")
        self.take()

    def take(self) -> None:
        """Insert the row (or put it back under its old number) and lock it. Raises psycopg2.OperationalError."""
        connection = connect(f"jobs-worker-life {self.description['name']}"[:63])
        try:
            with connection.cursor() as cursor:
                cursor.execute(_SESSION, (f"{GIVEN_UP_S}s",))
                self._insert(cursor)
                cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (locks.WORKER_CLASS, self.id))
                if not cursor.fetchone()[0]:  # the server has not noticed yet that the former connection is gone
                    cursor.execute("SET ROLE NONE; SELECT pg_terminate_backend(%s)", (self.session,))  # only its own login may
                    raise OperationalError(f"the lock of worker {self.id} is still held by its former connection")
        except BaseException:
            connection.close()
            raise
        self.has_something = _question(connection.fileno())
        self.connection, self.session = connection, connection.info.backend_pid
        self._look()

    def _insert(self, cursor: Any) -> None:
        values = {key: json.dumps(value) if key in _JSON else value for key, value in self.description.items()}
        columns = ", ".join(values)
        marks = ", ".join(f"%({key})s" for key in values)
        if self.id:
            values["id"] = self.id
            cursor.execute(f"INSERT INTO jobs_worker (id, {columns}) VALUES (%(id)s, {marks}) ON CONFLICT (id) DO NOTHING", values)
        else:
            cursor.execute(f"INSERT INTO jobs_worker ({columns}) VALUES ({marks}) RETURNING id", values)
            self.id = cursor.fetchone()[0]

    def change(self, write: Callable[[Any], Any], **values: Any) -> None:
        """Describe the worker anew. `write` runs a change on another connection: this one belongs to the watch."""
        self.description |= values
        columns = ", ".join(f"{name} = %s" for name in values)
        texts = [json.dumps(value) if name in _JSON else value for name, value in values.items()]
        write(lambda cursor: cursor.execute(f"UPDATE jobs_worker SET {columns} WHERE id = %s", [*texts, self.id]))

    def check(self, held: Iterable[int] | None = None) -> bool:
        """Look, and whether the lock is held; takes it again when the connection was cut.

        `held`: the jobs that are looked at while a look at all that run here is dear, as it is beside an old snapshot; None: all are.
        """
        with self._asking():
            if self.connection is not None and self._answers(held):
                return True
            try:
                self.take()
            except LOST as error:
                self.refused.say(error)
                return False
            logger.warning("the worker's lock is held again")
            return True

    def _look(self, held: Iterable[int] | None = None) -> None:
        is_whole = held is None or time.monotonic() >= self.whole_at
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(_WHOLE if is_whole else _BRIEF, {"id": self.id, "held": list(held or ())})
            except QueryCanceled as error:  # the lock is held all the same
                self.given_up.say(error)
                if is_whole:
                    self.whole_at = time.monotonic() + pace.pause(GIVEN_UP_S)
                return
            there, database, self.untold, running, seconds = cursor.fetchone()
            self.running = [(id, runs, asked, task_id) for id, runs, asked, task_id in running or ()]
            self.is_whole = is_whole
            if is_whole:
                self.whole_at = time.monotonic() + pace.pause(seconds)
            self.skew = time.time() - database
            if not there:  # a TransactionTestCase has emptied the tables
                self._insert(cursor)

    def _answers(self, held: Iterable[int] | None) -> bool:
        try:
            self._look(held)
            return True
        except LOST as error:
            logger.error("the worker's lock connection is gone, nothing is admitted: %s", first_line(error))
            self.connection.close()
            self.connection = None
            return False

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self.turn:
            self.asked = time.monotonic()
            try:
                yield
            finally:
                self.asked = math.inf

    def hang_up(self) -> None:
        """Cut the connection when an answer has not come for MUTE_S: who waits for it would wait for ever. From any thread, never waits."""
        connection = self.connection  # whoever asks may let it go at any moment
        if connection is not None and time.monotonic() - self.asked >= MUTE_S:
            cut(connection)

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """For a statement in the session that holds the lock. Raises psycopg2.OperationalError without it."""
        with self._asking():
            if self.connection is None:
                raise OperationalError("the worker's lock is not held")
            with self.connection.cursor() as cursor:
                yield cursor

    @property
    def held(self) -> bool:
        """Whether this process may admit jobs. Asks the socket, not the server: a cut connection can be read from."""
        connection = self.connection  # the watch may let it go at any moment
        if connection is None or connection.closed:
            return False
        if not self.turn.acquire(blocking=False):
            return time.monotonic() - self.asked < SLOW_S  # a statement is on its way
        try:
            return not self.has_something()
        finally:
            self.turn.release()

    def lock(self, key: tuple[int, int]) -> bool:
        """Take another lock for as long as the process lives, or until `unlock`. False: someone holds it, or PostgreSQL is away."""
        return self._ask("SELECT pg_try_advisory_lock(%s, %s)", key)

    def unlock(self, key: tuple[int, int]) -> bool:
        """Give it back. False: it is gone with its session."""
        return self._ask("SELECT pg_advisory_unlock(%s, %s)", key)

    def _ask(self, question: str, values: tuple[int, int]) -> bool:
        try:
            with self.cursor() as cursor:
                cursor.execute(question, values)
                return bool(cursor.fetchone()[0])
        except LOST:
            return False

    def leave(self) -> None:
        """Remove the row and free the lock."""
        try:
            if self.connection is not None:
                with self.connection.cursor() as cursor:
                    cursor.execute("DELETE FROM jobs_worker WHERE id = %s OR parent = %s", (self.id, self.id))
                self.connection.close()
        except LOST:
            logger.info("PostgreSQL is unreachable; the leader will remove the worker's row")
        self.connection = None


def _question(descriptor: int) -> Callable[[], Any]:
    """Whether there is something to read, answered at once, without letting other greenlets run."""
    if hasattr(select, "poll"):
        poll = _original("poll")()
        poll.register(descriptor, select.POLLIN)
        return partial(poll.poll, 0)
    choose = _original("select")
    return lambda: choose([descriptor], [], [], 0)[0]


def _original(name: str) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    return getattr(select, name) if monkey is None else monkey.get_original("select", name)
