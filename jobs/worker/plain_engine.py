"""The engine of processes without greenlets (prefork children, threads, solo): each job moves its own row."""

import logging
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import psycopg2

from jobs.celery_app.running import Outcome
from jobs.store import late, links, prepared
from jobs.store.canvas import Part
from jobs.store.engine import connect, unless_refused
from jobs.store.insert import NewJob
from jobs.store.transitions import Failure, Run
from jobs.worker import stopping
from jobs.worker.mute import Patience
from jobs.worker.own_writes import OwnWrites
from jobs.worker.refused import Refused
from jobs.worker.registration import Registration

if TYPE_CHECKING:
    from jobs.worker.flush import Change  # which needs gevent

logger = logging.getLogger("jobs.worker")


class PlainEngine:
    """A connection for each thread that writes just now."""

    green = False

    def __init__(self, registration: Registration) -> None:
        self.registration, self.worker_id = registration, registration.id
        self.alone = registration.description["pool"] in ("thread", "solo")  # a child of prefork has its parent
        self.held: dict[int, Outcome | None] = {}
        self.ending: dict[Run, Outcome] = {}
        self.eventer: Callable[[], Any] = lambda: None  # the worker's sender of events, where it has one
        self.unwritten: dict[Run, Failure] = {}
        self.unbegun: set[Run] = set()  # none: a task claims its own job as it begins
        self.completions: list[Change] = []  # nor are ends on their way: each is written at once
        self._own = OwnWrites(self._connect)
        self.write, self.close = self._own.write, self._own.close
        self.refused = Refused(logger, "a claim is refused")
        self.patience = Patience()
        self.hang_up = self.patience.hang_up

    def claim(self, run: Run, task_id: str, queue: str, priority: int) -> bool:
        """True if this run owns the job now. A message that came while the worker was told to stop is left to another one."""
        if stopping.is_told() or run.id in self.held or not (self.registration.held or self.registration.check()):
            return False

        tries = count()

        def change(cursor: Any) -> bool:
            is_first = next(tries) == 0
            try:
                return prepared.claim(cursor, run, task_id=task_id, worker=self.worker_id, queue=queue, priority=priority)
            except psycopg2.errors.LockNotAvailable:
                if is_first:  # somebody keeps the row locked: it is sent again, the slot is for others
                    return False
                raise  # it may be the first try, which nobody has answered

        def written(cursor: Any) -> bool:
            return late.was_claimed(cursor, run, self.worker_id)

        return bool(self.write(self._soon(unless_refused(change, self.refused.say)), single=True, written=written))

    def take_back(self, run: Run) -> bool:
        """Whether this process has a job that has not begun: never."""
        return False

    def give_back(self, run: Run) -> None:
        """Release such a job: there is none."""

    def complete(self, run: Run, result: str | None) -> bool:
        """True if the result was stored."""
        return bool(
            self.write(
                self._soon(lambda c: prepared.complete(c, run, result=result), len(result or "")),
                single=True,
                written=lambda c: late.was_written(c, run),
                job=run.id,
            )
        )

    def complete_counted(self, run: Run, result: str | None, part: Part, body: Callable[[Any], bool]) -> bool:
        """The same for a header task of a chord."""
        return bool(self.write(body, written=lambda c: late.was_written(c, run), job=run.id))

    def complete_linked(self, run: Run, *, result: str | None, meta: str | None, new: NewJob, written: Callable[[Any], bool]) -> bool:
        """True if the result was stored, with the job that follows; `written` as in `write`."""

        def change(cursor: Any) -> bool:
            return links.complete_linked(cursor, run, result=result, meta=meta, new=new)

        return bool(self.write(change, single=True, written=written, job=run.id))

    def _soon(self, change: Callable[[Any], bool], characters: int = 0) -> Callable[[Any], bool]:
        """The same change of one statement, which is not waited for in vain."""

        def asked(cursor: Any) -> bool:
            self.patience.begin(cursor.connection, characters)
            try:
                return change(cursor)
            finally:
                self.patience.end(cursor.connection)

        return asked

    def _connect(self) -> Any:
        connection = connect(f"jobs-engine {self.worker_id}")
        try:
            with connection.cursor() as cursor:
                cursor.execute(prepared.PREPARE)
                cursor.execute("SET lock_timeout = '200ms'")  # who waits for a row keeps its slot from other jobs
        except BaseException:
            connection.close()
            raise
        return connection
