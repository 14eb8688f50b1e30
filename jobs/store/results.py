"""How a job ended, for who asks by task_id; and waiting for it without polling."""

import select
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
import psycopg2.extensions
from django.db import connections

from jobs.conf import configuration
from jobs.domain import own_failures
from jobs.store import caller
from jobs.store.engine import connect
from jobs.store.locks import ENDED, WAITER_CLASS
from jobs.store.tell import BUCKET, LONGEST
from jobs.store.transitions import REVOKED

# Seconds at most to wait for the locks of those who are ending a job. Without one, its end is seen at the next look, not told.
BUSY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A job's row, or with `status` None the stored result of an id that no job has. JSON columns are texts."""

    task_id: str
    status: str | None
    state: str | None = None
    result: str | None = None
    meta: str | None = None
    progress: str | None = None
    last_error: str = ""
    traceback: str | None = None
    attempts: int = 0
    task: str = ""
    args: str = "[]"
    kwargs: str = "{}"
    queue: str = ""
    worker: str | None = None
    pid: int | None = None  # of that worker, while it is known
    options: str | None = None
    ended_at: datetime | None = None
    revoked: bool = False  # by Celery code, before it ran or ran again


_JOBS = f"""
SELECT task_id, status, result::text, result_meta::text, progress::text, last_error, attempts, task, args::text, kwargs::text, queue,
       coalesce((SELECT w.name FROM jobs_worker w WHERE w.id = j.worker), j.worker::text), options::text, finished_at,
       (SELECT w.pid FROM jobs_worker w WHERE w.id = j.worker), {REVOKED} AND last_error = '{own_failures.REVOKED}'
  FROM jobs_job j WHERE task_id = ANY(%s)"""
_COLUMNS = (
    "task_id", "status", "result", "meta", "progress", "last_error", "attempts", "task", "args", "kwargs", "queue", "worker", "options",
    "ended_at", "pid", "revoked",
)  # fmt: skip
_STORED = "SELECT task_id, state, result::text, traceback, stored_at FROM jobs_storedresult WHERE task_id = ANY(%s)"


def read(cursor: Any, task_ids: Iterable[str]) -> dict[str, Found]:
    """What is known of these ids; an id that nobody knows is missing."""
    wanted = list(task_ids)
    cursor.execute(_JOBS, [wanted])
    found = {row[0]: Found(**dict(zip(_COLUMNS, row, strict=True))) for row in cursor.fetchall()}
    missing = [task_id for task_id in wanted if task_id not in found]
    if missing:
        cursor.execute(_STORED, [missing])
        for task_id, state, result, traceback, stored_at in cursor.fetchall():
            found[task_id] = Found(task_id=task_id, status=None, state=state, result=result, traceback=traceback, ended_at=stored_at)
    return found


class Waiter:
    """A session that hears of the ends of some jobs. For one thread at a time."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.buckets: list[int] = []
        self.cursor.execute(f"LISTEN {ENDED}")

    def watch(self, task_ids: Iterable[str]) -> None:
        """From now on their ends are told. Who is ending one this very moment is waited for, but not longer than BUSY_S."""
        self.cursor.execute(
            f"""SELECT bucket, pg_try_advisory_lock_shared({WAITER_CLASS}, bucket)
                  FROM (SELECT DISTINCT {BUCKET.format("id")} FROM unnest(%s::text[]) AS given (id)) AS wanted (bucket)""",
            [list(task_ids)],
        )
        tried = self.cursor.fetchall()
        self.buckets = [bucket for bucket, taken in tried if taken]
        end = time.monotonic() + BUSY_S
        for bucket, taken in tried:
            if not taken and self._take(bucket, end - time.monotonic()):
                self.buckets.append(bucket)

    def _take(self, bucket: int, seconds: float) -> bool:
        if seconds <= 0:
            return False
        wait = "SET LOCAL lock_timeout = %s; SELECT pg_advisory_lock_shared(%s, %s)"  # one query is one transaction; the lock outlives it
        try:
            self.cursor.execute(wait, (f"{int(seconds * 1000) + 1}ms", WAITER_CLASS, bucket))
            return True
        except psycopg2.errors.LockNotAvailable:
            return False

    def sleep(self, seconds: float) -> set[str]:
        """Until something is told, `seconds` at most; the first characters of the ids that were told."""
        if not self.connection.notifies and seconds > 0:
            self._wait(seconds)
        self.connection.poll()
        told = {notify.payload for notify in self.connection.notifies}
        self.connection.notifies.clear()
        return told

    def _wait(self, seconds: float) -> None:
        if not hasattr(select, "poll"):  # Windows, or a hub that has none
            select.select([self.connection], [], [], seconds)
            return
        poll = select.poll()  # select() knows no descriptor above 1,023
        poll.register(self.connection, select.POLLIN)
        poll.poll(seconds * 1000)

    def rest(self) -> None:
        """Hear of nothing more; the locks that others took in the same session stay."""
        self.cursor.execute(
            "SELECT pg_advisory_unlock_shared(%s, bucket) FROM unnest(%s::int[]) AS given (bucket)", [WAITER_CLASS, self.buckets]
        )
        self.cursor.execute(f"UNLISTEN {ENDED}")
        self.connection.notifies.clear()


def named(task_id: str) -> str:
    """What a notification calls this id."""
    return task_id[:LONGEST]


@contextmanager
def waiting(task_ids: Iterable[str]) -> Iterator[Waiter]:
    """A waiter for these ids. Raises psycopg2.OperationalError when PostgreSQL is away.

    It borrows the thread's own connection; within a transaction, in a coroutine, with psycopg 3, or behind a PgBouncer, it makes another.
    """
    borrowed = _own_session()
    connection = borrowed or connect("jobs-waiter")
    try:
        waiter = Waiter(connection)
        try:
            waiter.watch(task_ids)
            yield waiter
        finally:
            if borrowed is not None and not connection.closed:
                waiter.rest()
    except psycopg2.OperationalError:
        if borrowed is not None:
            connections[configuration().database].close()
        raise
    finally:
        if borrowed is None:
            connection.close()


def _own_session() -> Any:
    """The thread's connection, when it can hear notifications as a Waiter does; else None, as with psycopg 3."""
    if caller.is_in_a_coroutine():
        return None
    own = caller.own()
    if configuration().database_direct_url or own.in_atomic_block or not own.get_autocommit():
        return None
    own.ensure_connection()
    return own.connection if isinstance(own.connection, psycopg2.extensions.connection) else None
