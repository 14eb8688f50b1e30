"""Ends a process that holds a body which nobody can end: a loop that never switches, a blocking call, a swallowed exception.

A thread of the operating system, which greenlets cannot keep from running; `jobs.celery_app.last_resort` stands behind it.
"""

import _thread
import logging
import math
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg2
from billiard import active_children

from jobs.celery_app import last_resort, settle
from jobs.celery_app.running import Outcome
from jobs.conf import configuration
from jobs.domain.errors import JobInterrupted, JobTimeout
from jobs.store import deadline, transitions
from jobs.store.engine import connect
from jobs.store.transitions import Run
from jobs.worker import stopping
from jobs.worker.ending import SOFTWARE

if TYPE_CHECKING:
    from jobs.worker.group_commit import GroupCommit  # which needs gevent
    from jobs.worker.plain_engine import PlainEngine

logger = logging.getLogger("jobs.worker")
EACH_S = 0.25
OVERDUE_S = 2.0  # after its deadline a body is taken away
STOPPED_S = 3.5  # after the grace: what a worker told to stop may still need
WORDS_S = 3.0  # for the last words; PostgreSQL may be away
LAST_WORD_S = 0.25  # for the last of them, past the log
APART_S = 0.2  # seconds before a released neighbour is due: this process must be gone by then


def _real(module: str, name: str) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    return getattr(sys.modules[module], name) if monkey is None else monkey.get_original(module, name)


class Watchdog:
    """Looks four times a second at what this process holds."""

    def __init__(self, engine: "GroupCommit | PlainEngine") -> None:
        self.engine = engine
        self.stopping: float | None = None  # since when the worker is told to stop
        self.is_cold = False  # that was: at once
        self.interrupted: set[Run] = set()  # which just now are being given back
        self.sleep: Callable[[float], None] = _real("time", "sleep")

    def start(self) -> None:
        """Begin to look."""
        last_resort.enable()
        _real("_thread", "start_new_thread")(self._run, ())

    def _run(self) -> None:
        looked = time.monotonic()
        while True:
            self.sleep(EACH_S)
            last_resort.arm(last_resort.armed)
            now = time.monotonic()
            if now - looked > OVERDUE_S:  # the process was stopped (SIGSTOP): its bodies get a moment to meet their deadlines
                self.sleep(OVERDUE_S)
                now = time.monotonic()
            looked = now
            self.engine.registration.hang_up()
            self.engine.hang_up()
            try:
                held = [outcome for outcome in self.engine.held.values() if outcome is not None]
                held += [outcome for outcome in self.engine.ending.values() if outcome.settled]
            except RuntimeError:  # it was changed meanwhile
                continue
            self._look_at_deadlines(held, now)
            self._look_at_the_stop(held, now)

    def _look_at_deadlines(self, held: list[Outcome], now: float) -> None:
        limited = [(outcome, ends) for outcome in held if (ends := outcome.body.ends) is not None]
        last_resort.arm(min((ends for _, ends in limited), default=math.inf))
        if overdue := [outcome for outcome, ends in limited if now > ends + OVERDUE_S]:
            numbers = ", ".join(str(outcome.run.id) for outcome in overdue)
            self._end(f"job {numbers} is past its deadline, and its body cannot be ended", overdue, held)
        for outcome, ends in limited:
            if now > ends and outcome.body.greenlet is None and outcome.body.error is None:
                outcome.body.throw(JobTimeout)

    def _look_at_the_stop(self, held: list[Outcome], now: float) -> None:
        if self.stopping is None and stopping.is_told():
            self.stopping = now
        if not self.is_cold and stopping.is_cold():
            self.is_cold, self.stopping = True, now
        if self.stopping is None:
            return
        late = now - self.stopping - (0 if self.is_cold else configuration().shutdown_grace)
        if late > STOPPED_S:
            self._end("the worker was told to stop, and something in it does not end", [], held)
        elif late > 0:
            for outcome in held:
                # Solo: it keeps the worker from stopping. Threads: the handler of SIGQUIT waits for the pool's.
                is_kept = self.is_cold or outcome.body.thread == _main_thread()
                if outcome.body.greenlet is None and is_kept and outcome.run not in self.interrupted:
                    self.interrupted.add(outcome.run)
                    _real("_thread", "start_new_thread")(self._interrupt, (outcome,))

    def _interrupt(self, outcome: Outcome) -> None:
        """In a thread of its own: the watchdog waits neither for PostgreSQL nor for a row."""
        try:
            settle.release(outcome)
            outcome.body.throw(JobInterrupted)
        except Exception:  # the leader or the watch sees to the row
            logger.exception("job %s could not be given back", outcome.run.id)
        finally:
            self.interrupted.discard(outcome.run)

    def _end(self, reason: str, overdue: list[Outcome], held: list[Outcome]) -> None:
        """Take the overdue runs away, release the others, say so, and end the process."""
        said: list[bool] = []
        start = _real("_thread", "start_new_thread")
        start(self._say, (reason, said))
        start(self._settle, (overdue, held, said))
        end = time.monotonic() + WORDS_S
        while len(said) < 2 and time.monotonic() < end:
            last_resort.arm(last_resort.armed)
            self.sleep(0.01)
        if True not in said:  # the log's lock may be held by what hangs, and nobody may take what is written
            start(os.write, (2, f"CRITICAL jobs.worker: {reason}; the process ends itself\n".encode()))
            self.sleep(LAST_WORD_S)
        for child in active_children():  # of a prefork worker
            with suppress(ProcessLookupError):
                os.kill(child.pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # billiard's processes have no kill()
        os._exit(SOFTWARE)

    def _say(self, reason: str, said: list[bool]) -> None:
        main = sys._current_frames().get(_main_thread())
        stack = "".join(traceback.format_stack(main)) if main is not None else ""
        logger.critical("%s; the process ends itself (exit %s)\n%s", reason, SOFTWARE, stack)
        said.append(True)

    def _settle(self, overdue: list[Outcome], held: list[Outcome], said: list[bool]) -> None:
        """Over a connection of its own. Whatever is not settled here is rescued by the leader."""
        try:
            connection = connect(f"jobs-watchdog {self.engine.worker_id}")
            connection.autocommit = False
            rng = random.Random()
            done = {change.run: change.text for change in list(self.engine.completions)}
            for outcome in held:
                if outcome.settled:
                    continue
                try:
                    with connection, connection.cursor() as cursor:
                        cursor.execute("SET LOCAL lock_timeout = '500ms'")
                        if outcome in overdue:
                            deadline.time_out(cursor, outcome.run, rng=rng)
                        elif outcome.run in done:
                            transitions.complete(cursor, outcome.run, result=done[outcome.run])
                        else:
                            transitions.release(cursor, outcome.run, delay=APART_S, failure=settle.INTERRUPTED)
                except psycopg2.Error:  # somebody keeps its row locked: the others have their turn
                    pass
        except psycopg2.Error:  # it is away
            pass
        finally:
            said.append(False)


def _main_thread() -> int:
    return int(getattr(sys.modules["threading"].main_thread(), "ident", 0) or _thread.get_ident())
