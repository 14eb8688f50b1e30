"""The process beside each worker: a leader or standby, with the worker's sentry."""

import atexit
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from typing import Any

import psycopg2
from celery import bootsteps
from django.db import connections

from jobs.celery_app import last_resort
from jobs.celery_app.app import address
from jobs.celery_app.deadline_board import Board
from jobs.conf import configuration
from jobs.store import leadership, sender
from jobs.store.absent import EACH, Absent
from jobs.worker import ending, log, sentry, stopping
from jobs.worker.bootsteps import Engine

logger = logging.getLogger("jobs.worker")
LOOK_S = 0.5  # between two looks whether it lives; twice as long after each death
LONGEST_S = 10.0
STEADY_S = 60.0  # of life, after which the looks are frequent again
WORK_S = 5.0  # between two looks whether it works


class LeaderChild(bootsteps.StartStopStep):
    """A leader or standby beside each worker, with the worker's sentry. It ends when its standard input closes, as this process ends."""

    requires = (Engine,)
    engine: Any = None
    asked, is_stuck = 0.0, False  # at the last look whether it works

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.ending = threading.Event()
        if configuration().leader_child:
            last_resort.board = Board.make()  # before the pool forks its children
        super().__init__(worker, **kwargs)

    def start(self, worker: Any) -> None:
        """Start the child and a thread that starts it again when it dies."""
        self.engine = worker.engine
        if not configuration().leader_child:
            threading.Thread(target=self._look_for_the_leader, args=(worker.app.conf,), daemon=True, name="jobs-leader-elsewhere").start()
            return
        name = connections[configuration().database].settings_dict["NAME"]
        # In tests they are not those of the settings module.
        self.options = [f"--key-prefix={configuration().key_prefix}", *([f"--database-name={name}"] if name else [])]
        if found := address(worker.app):
            self.options.append(f"--app={found}")
        file, level = log.place()
        self.options += [f"--loglevel={level}", *([f"--logfile={file}"] if file else [])]
        self.handed: tuple[int, ...] = ()
        if (board := last_resort.board) is not None:
            handles = ending.handles()
            given = {"deadlines": board.descriptor, "end": handles.end, "signals": handles.told}
            self.options += [f"--{name}={descriptor}" for name, descriptor in given.items() if descriptor is not None]
            self.handed = tuple(descriptor for descriptor in given.values() if descriptor is not None)
        self._spawn()
        threading.Thread(target=self._tend, daemon=True, name="jobs-leader-child").start()

    def _look_for_the_leader(self, conf: Any) -> None:
        """What a standby would say: that it sends through another Redis."""
        with closing(Absent(conf)) as absent:
            while not self.ending.wait(EACH):
                with suppress(psycopg2.Error), self.engine.registration.cursor() as cursor:  # PostgreSQL is away
                    absent.look(cursor, sender.holder(cursor))

    def _spawn(self) -> None:
        path = os.pathsep.join(dict.fromkeys([os.getcwd(), *filter(None, sys.path)]))
        command = [sys.executable, "-m", "django", "dispatch", "--parent", *self.options]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=self.handed, env=os.environ | {"PYTHONPATH": path})

    def _tend(self) -> None:
        pause, started = LOOK_S, time.monotonic()
        while not self.ending.wait(pause):
            now = time.monotonic()
            if now - started > STEADY_S:
                pause = LOOK_S
            if self.child is not None and self.child.poll() is not None and not stopping.is_told():
                logger.error("the leader's process ended with %s; starting it again", self.child.returncode)
                pause, started = min(pause * 2, LONGEST_S), now
                try:
                    self._spawn()
                except OSError as error:  # no process or no memory is left, for now
                    logger.error("the leader's process cannot be started (%s); it is tried again", error)
            elif self.child is not None and self.engine is not None and now - self.asked >= WORK_S:
                self.asked = now
                self._end_stuck(self.child)

    def _end_stuck(self, child: "subprocess.Popen[bytes]") -> None:
        """Kill one that leads and does nothing, as two looks have found: a standby would have replaced it, and here may be none."""
        try:
            with self.engine.registration.cursor() as cursor:
                found = leadership.stuck(cursor) == child.pid
        except psycopg2.Error:  # PostgreSQL is away
            found = False
        if found and self.is_stuck:
            logger.error("the leader's process does nothing; it is ended")
            child.kill()
        self.is_stuck = found and not self.is_stuck

    def stop(self, worker: Any) -> None:
        """Close the child's standard input: it ends by that, while running jobs have their grace."""
        self.ending.set()
        if self.child is None:
            return
        if self.child.stdin is not None:
            self.child.stdin.close()
        atexit.register(self._reap, self.child)

    def _reap(self, child: "subprocess.Popen[bytes]") -> None:
        """One that goes on a little longer, with a mail say, ends by itself; one that is stopped (SIGSTOP) would stay for ever."""
        try:
            child.wait(1)
        except subprocess.TimeoutExpired:
            with suppress(OSError):  # there is no `ps`
                if (found := sentry.state(child.pid)) is not None and found.stopped:
                    logger.error("the leader's process is stopped by a signal; it is ended")
                    child.kill()

    terminate = stop
