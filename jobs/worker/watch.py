"""The watch over a process's own rows: its lock, cancellations asked for, rows that nobody holds."""

import logging
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg2
from celery.utils.functional import LRUCache
from django.db import connections
from psycopg2 import InterfaceError

from jobs.celery_app.running import Outcome
from jobs.domain.complaint import Complaint
from jobs.domain.errors import JobCancelled
from jobs.store import transitions, unwritable
from jobs.store.engine import unless_locked, unless_refused

if TYPE_CHECKING:
    from jobs.worker.group_commit import GroupCommit  # which needs gevent
    from jobs.worker.plain_engine import PlainEngine

logger = logging.getLogger("jobs.worker")
EACH_S = 1.0  # between two looks at the rows
SOON_S = 0.2  # between two tries to take a lock again whose connection was cut
FREE = 5  # runs of one job that are given back though nobody knows why; those that follow are counted
STOP_S = 5.0  # for what is being done when it is told to stop


class Watch:
    """A thread (a greenlet under gevent) that looks once a second. A lock that was cut is taken again at once.

    What it finds is still to be told of the ends of jobs another one tells: whoever is called with it may take his time.
    """

    def __init__(self, engine: "GroupCommit | PlainEngine", tell: Callable[[], Any] | None = None) -> None:
        self.engine, self.tell = engine, tell  # tells some of it; whether there may be more
        self.complaint = Complaint(logger, "a run that nobody holds cannot be given back")
        self.failing = Complaint(logger, "the watch over this worker's rows fails, and goes on", logging.ERROR)
        self.stray: set[tuple[int, int]] = set()
        self.left: set[transitions.Run] = set()
        self.released: LRUCache = LRUCache(limit=10_000)  # job: how many of its runs were
        self.dead: set[int] = set()  # jobs whose greenlet was dead at the last look
        self.gone: set[transitions.Run] = set()  # without an end, and without a row at the last look
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True, name="jobs-watch")
        self.teller: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self.bell, self.rope = socket.socketpair()  # the one is waited for together with the lock's connection, the other pulled to stop
        self.thread.start()

    def stop(self, patience: float = STOP_S) -> None:
        """Look no more; when this returns the lock is not taken again. `patience`: seconds for what is just told, else told elsewhere."""
        end = time.monotonic() + min(patience, STOP_S)
        self.stopping.set()
        with suppress(OSError):  # it was stopped before
            self.rope.send(b"\0")
        self.thread.join(STOP_S)
        if self.teller is not None:
            self.teller.join(max(end - time.monotonic(), 0.0))
        self.bell.close()
        self.rope.close()

    def _run(self) -> None:
        looked, registration = 0.0, self.engine.registration
        while not self.stopping.is_set():
            self._wait(looked + EACH_S)
            if self.stopping.is_set():
                return
            due = time.monotonic() - looked >= EACH_S
            try:
                if (due or not registration.held) and registration.check(self.engine.held) and due:
                    looked = time.monotonic()
                    self.look()
                    if registration.untold:
                        self._begin_to_tell()
            except Exception as error:  # the watch must outlive whatever it meets
                self._say(error, "the watch over this worker's rows failed; it goes on")
                self.stopping.wait(SOON_S)

    def _begin_to_tell(self) -> None:
        """Unless that is being done."""
        if self.tell is not None and (self.teller is None or not self.teller.is_alive()):
            teller = threading.Thread(target=self._tell, args=(self.tell,), daemon=True, name="jobs-tell")
            teller.start()
            self.teller = teller

    def _tell(self, some: Callable[[], Any]) -> None:
        try:
            while self.engine.registration.held and not self.stopping.is_set() and some():
                pass
        except Exception as error:  # whatever it was, it is tried again at a later look
            self._say(error, "the ends of jobs cannot be told; it is tried again")
        finally:
            connections.close_all()  # those of whoever was called

    def _say(self, error: Exception, sentence: str) -> None:
        if isinstance(error, psycopg2.Error):  # tables that are gone, a right that was taken away: the same at each try
            self.failing.say(error)
        else:
            logger.exception(sentence)

    def _wait(self, end: float) -> None:
        """Until this moment (of time.monotonic()), or told to stop, or until the lock's connection can be read: one that was cut can be."""
        registration = self.engine.registration
        try:
            if registration.held:
                told = select.select([registration.connection, self.bell], [], [], max(end - time.monotonic(), 0.0))[0]
                if not told or self.bell in told or not registration.held:
                    return
                # else somebody else is about to read the answer to a statement of his own
        except (OSError, ValueError, TypeError, InterfaceError):  # closed meanwhile, or its number is too large for select()
            pass
        self.stopping.wait(SOON_S)

    def look(self) -> None:
        """See to what the registration has just looked at."""
        rows = self.engine.registration.running
        for id, _, asked, _ in rows:
            if asked:
                self._cancel(self.engine.held.get(id))
        self._drop_left()
        self._drop_dead()
        if self.engine.registration.is_whole:
            self._release_strays(rows)
            self._forget_gone({(id, runs) for id, runs, _, _ in rows})

    def _release_strays(self, rows: Sequence[tuple[int, int, bool, str]]) -> None:
        linking = getattr(self.engine, "linking", ())
        unheld = {(id, runs) for id, runs, _, task_id in rows if id not in self.engine.held and task_id not in linking}
        for id, runs in unheld & self.stray:
            run = transitions.Run(id=id, runs=runs, worker=self.engine.worker_id)
            times = self.released.get(id, 0)
            failure = self.engine.unwritten.get(run) or (unwritable.WITHOUT if times >= FREE else None)
            if failure is not None:
                self._take_away(run, failure)
            elif self._write(partial(transitions.release, run=run)):
                self.released[id] = times + 1
                logger.warning("job %s was running here, but nobody held it: released", id)
        self.stray = unheld - self.stray

    def _take_away(self, run: transitions.Run, failure: transitions.Failure) -> None:
        if self._write(partial(unwritable.take_away, run=run, failure=failure)):
            self.engine.unwritten.pop(run, None)
            logger.warning("job %s: run %s, whose end cannot be written, is counted as lost", run.id, run.runs)

    def _forget_gone(self, running: set[tuple[int, int]]) -> None:
        """Runs whose end could not be written, and that somebody else has taken away since."""
        gone = {run for run in list(self.engine.unwritten) if (run.id, run.runs) not in running}
        for run in gone & self.gone:  # one that was claimed after the rows were read is among them at the next look
            self.engine.unwritten.pop(run, None)
        self.gone = gone

    def _write(self, change: Callable[[Any], Any]) -> Any:
        """In no case it waits: who looks keeps the lock."""
        return self.engine.write(unless_refused(unless_locked(change), self.complaint.say))

    def _drop_left(self) -> None:
        """What was handed on or claimed a second ago, and has not begun: whatever kept it from beginning, it is given back."""
        left = self.engine.unbegun
        for run in left & self.left:
            self.engine.give_back(run)
        self.left = left - self.left

    def _drop_dead(self) -> None:
        """What is held by a greenlet that is gone and wrote no end; at the looks that follow its row is released, if it still runs.

        A run whose body began is counted as lost, so that a job which always ends so does not run for ever.
        """
        dead = {id for id, outcome in list(self.engine.held.items()) if outcome is not None and outcome.body.is_over}
        for id in dead & self.dead:
            outcome = self.engine.held.pop(id, None)
            if outcome is not None and outcome.started and not outcome.settled:
                self.engine.unwritten[outcome.run] = unwritable.WITHOUT
        self.dead = dead

    def _cancel(self, outcome: Outcome | None) -> None:
        """A body that swallows the first one is asked again at each look."""
        if outcome is not None and not outcome.closing and not outcome.settled:
            outcome.cancel(JobCancelled)
