"""The stretch of a run in which the task's own code runs, and how it is interrupted there."""

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from celery.exceptions import WorkerShutdown, WorkerTerminate
from greenlet import GreenletExit, getcurrent

from jobs.celery_app import last_resort
from jobs.domain.errors import JobTimeout

_SIGNALS = 64  # the highest number of one; sys.exit(-1) is a task's own
_OF_THE_WORKER = (WorkerShutdown, WorkerTerminate)  # what ends all of it; the job is given back
_AT_ONCE = 0.001  # seconds: none would be no timer
_turn = threading.Lock()
_in_main: list["Body"] = []  # the one that runs in the main thread, where a signal reaches it


class Body:
    """Within `running` the code of a task runs, in a greenlet or in a thread."""

    __slots__ = ("asked", "ends", "error", "greenlet", "spent", "thread", "until")

    def __init__(self) -> None:
        self.greenlet: Any = None  # where it runs, None outside gevent
        self.thread = 0  # where it runs while it runs
        self.ends: float | None = None  # time.monotonic() of its deadline, while it runs
        self.until: float | None = None  # that of the whole run, from the first of its stretches on
        self.spent = 0.0  # seconds of it before this stretch
        self.asked = False  # an exception was thrown into its thread
        self.error: type[BaseException] | None = None

    @property
    def is_over(self) -> bool:
        """Whether its greenlet has ended, so that nothing is to come of it any more."""
        return self.greenlet is not None and bool(self.greenlet.dead)

    def running(self, seconds: float | None, *, least: float = 0.0) -> AbstractContextManager[None]:
        """The body of a task, or a hook of it, in a run with so many seconds (None: no limit). Without greenlets a signal interrupts it
        where it runs in the main thread (prefork, solo); into other threads an exception is thrown, which they meet at their next line
        of Python. `least`: what a stretch that is not the first has, however little is left.
        """
        if seconds is not None:
            now = time.monotonic()
            if self.until is None:
                self.ends = self.until = now + seconds
            else:
                self.ends, self.error = max(self.until, now + least), None
                self.spent = seconds - (self.ends - now)
            last_resort.earlier(self.ends)
        self.thread = threading.get_ident()
        if self.greenlet is not None:
            return _InGreenlet(self)
        return self._in_thread(None if seconds is None else max(seconds - self.spent, _AT_ONCE))

    @contextmanager
    def _in_thread(self, seconds: float | None) -> Iterator[None]:
        by_signal = _can_signal()
        try:
            if by_signal:
                _in_main[:] = [self]
                signal.signal(signal.SIGALRM, _ring)
                signal.setitimer(signal.ITIMER_REAL, seconds or 0)
            yield
        finally:
            if by_signal:
                _in_main.clear()
                signal.setitimer(signal.ITIMER_REAL, 0)
            with _turn:
                if self.asked:
                    _throw(self.thread, None)  # it ended by itself before it was reached
                self.thread, self.ends = 0, None

    def throw(self, error: type[BaseException]) -> None:
        """Interrupt it, if it still runs."""
        with _turn:
            if not self.thread:
                return
            self.error = error
            if self.greenlet is not None:
                from gevent import get_hub

                get_hub().loop.run_callback(self._reach, error)
            elif self in _in_main:
                signal.pthread_kill(self.thread, signal.SIGALRM)
            else:
                self.asked = True
                _throw(self.thread, error)

    def _reach(self, error: type[BaseException]) -> None:
        """In gevent's loop: into the greenlet, unless its body has ended since; its end may not be interrupted."""
        if self.thread:
            self.greenlet.throw(error)


class _InGreenlet:
    """What is thrown into a greenlet comes from its own thread: there is nothing to lock, and nothing can come after the end."""

    __slots__ = ("body",)

    def __init__(self, body: Body) -> None:
        self.body = body

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.body.thread, self.body.ends = 0, None


def is_kill(error: BaseException | None) -> bool:
    """Whether Celery ends this greenlet (`revoke(terminate=True)`): whoever told it to do so sees to the job, or the watch does."""
    return issubclass(type(error), GreenletExit) and getattr(getcurrent(), "terminated", False)


def is_from_outside(error: BaseException) -> bool:
    """Whether it ends more than a run: the worker, the greenlet that was killed, the process that was told to by a signal."""
    kind = type(error)  # isinstance() would ask an exception of the task's own for its class
    if issubclass(kind, _OF_THE_WORKER) or is_kill(error):
        return True
    code = getattr(error, "code", None) if issubclass(kind, SystemExit) else None
    return isinstance(code, int) and -256 < code <= -256 + _SIGNALS  # billiard's


def _throw(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error))


def _can_signal() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def _ring(*_: Any) -> None:
    """Stays in place between two bodies, when a late signal must do nothing."""
    for body in _in_main:
        body.error = body.error or JobTimeout  # known to the watchdog, which would interrupt its end a second time
        raise body.error()
