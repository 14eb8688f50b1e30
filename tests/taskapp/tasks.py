"""Tasks that behave in the ways jobs can behave."""

import gc
import itertools
import os
import time
from typing import Any

from celery import current_app, shared_task
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from jobs import PermanentError
from jobs.store import kept
from tests.taskapp import flows, odd, replacing, unreadable  # noqa: F401 - registers more tasks
from tests.taskapp.orders import Orders

if os.environ.get("WITH_ORDERS"):
    current_app.steps["consumer"].add(Orders)


@shared_task(name="t.prose")
def prose(count: "the number of it") -> int:  # type: ignore[valid-type]  # noqa: F722 - no type, as in old code
    return count  # type: ignore[no-any-return]


@shared_task(name="t.add")
def add(x: int, y: int) -> int:
    return x + y


@shared_task(name="t.collect")
def collect(first: int, *numbers: int, **options: str) -> list[int]:
    return [first, *numbers, len(options)]


@shared_task(name="t.priced")
def priced(order: int, price: str) -> float:
    return float(price)


@shared_task(name="t.nap")
def nap(seconds: float) -> None:
    time.sleep(seconds)


@shared_task(name="t.permanent")
def permanent() -> None:
    raise PermanentError("no such customer")


@shared_task(name="t.unjsonable")
def unjsonable() -> Any:
    return object()


@shared_task(name="t.retry_inside", bind=True, max_retries=2)
def retry_inside(self: Any) -> int:
    with transaction.atomic():
        get_user_model().objects.create(username=f"run-{self.request.retries}")
        self.progress(0.5, "half")
        if self.request.retries < 2:
            raise self.retry(countdown=0.1)
    return int(self.request.retries)


@shared_task(name="t.fails_inside")
def fails_inside() -> None:
    with transaction.atomic():
        get_user_model().objects.create(username="never")
        raise ValueError("inside")


@shared_task(name="t.kill_worker")
def kill_worker() -> None:
    os._exit(9)


@shared_task(name="t.session")
def session(statement: str = "") -> list[Any]:
    """Runs a statement in the task's own session; which session it was, and what it found left there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_backend_pid(), current_setting('t.mark', true), count(*) FROM pg_locks"
            " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        found = cursor.fetchone()
        if statement:
            cursor.execute(statement)
    return list(found)


@shared_task(name="t.calls_around_a_close")
def calls_around_a_close() -> list[int]:
    """Calls, as many as are prepared, before and after the session is emptied and taken again; in how many sessions, what was missed."""
    sessions = set()
    for _ in range(2):
        for _ in range(kept.OFTEN + 2):
            add.apply_async((1, 1), priority=1)
        sessions.add(connection.connection.info.backend_pid)
        connection.close()
    return [len(sessions), len(kept._gone)]


@shared_task(name="t.open_transaction", bind=True)
def open_transaction(self: Any, seconds: float) -> None:
    with transaction.atomic():
        get_user_model().objects.create(username="open")
        time.sleep(seconds)


@shared_task(name="t.swallow")
def swallow(seconds: float) -> None:
    """Swallows everything that is thrown into it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.1)
        except BaseException:
            pass


@shared_task(name="t.spin")
def spin(seconds: float) -> None:
    """Computes, and never switches."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@shared_task(name="t.block_in_c")
def block_in_c(seconds: int) -> None:
    """A C function that sleeps."""
    import ctypes

    ctypes.CDLL(None).sleep(seconds)


@shared_task(name="t.keep_lock")
def keep_lock() -> None:
    """A loop in C that takes some minutes: no other thread of the interpreter can run meanwhile, nor a handler of a signal."""
    sum(itertools.repeat(0, 20_000_000_000))


@shared_task(name="t.die")
def die(how: str) -> None:
    """Takes its process along, each time."""
    import ctypes
    import signal

    if how == "exit":
        os._exit(9)
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does when memory is short


@shared_task(name="t.nap_and_add")
def nap_and_add(seconds: float, x: int) -> int:
    time.sleep(seconds)
    return x + 1


@shared_task(name="t.longest_gap")
def longest_gap(seconds: float) -> float:
    """The longest time between two turns of this greenlet, which asks for one every 50 ms."""
    last = time.monotonic()
    end, worst = last + seconds, 0.0
    while last < end:
        time.sleep(0.05)
        now = time.monotonic()
        last, worst = now, max(worst, now - last)
    return worst


class LoginRefused(Exception):
    pass


@shared_task(name="t.login")
def login(user: str, password: str, token: str = "") -> None:
    raise LoginRefused(f"no such user: {user}, password={password!r}, token: {token}")


@shared_task(name="t.send_later")
def send_later() -> list[str]:
    """Send one task that is due in a second and one that expires in thirty; their ids."""
    return [add.apply_async((1, 1), countdown=1).id, add.apply_async((2, 2), expires=30).id]


@shared_task(name="t.hang")
def hang(how: str) -> None:
    """Waits for what does not come."""
    import socket
    import subprocess
    import threading

    if how == "socket":
        near, _far = socket.socketpair()
        near.recv(1)
    elif how == "lock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    elif how == "database":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(6)")  # PostgreSQL goes on with it for a while
    else:
        subprocess.run(["sleep", "60"], check=False)


class OwnEnd(BaseException):
    """What some libraries raise to end whatever runs."""


@shared_task(name="t.leave")
def leave(how: str) -> None:
    """Raises what is no Exception."""
    import asyncio

    import gevent

    raise {
        "exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "cancelled": asyncio.CancelledError(), "timeout": gevent.Timeout(1),
        "killed": gevent.GreenletExit(), "own": OwnEnd("gone"),
    }[how]  # fmt: skip


@shared_task(name="t.fork")
def fork(seconds: float) -> int:
    """Leaves a forked process behind."""
    import multiprocessing

    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[seconds])
    child.start()
    return int(child.pid or 0)


@shared_task(name="t.program")
def program() -> str:
    """Runs another program."""
    import subprocess

    return subprocess.run(["echo", "said"], capture_output=True, text=True, check=True).stdout


@shared_task(name="t.close")
def close(how: str) -> int:
    """Uses a connection, closes it in one of several ways, and uses it again if it can."""
    from django.db import connections

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if how == "django":
        connection.close()
    elif how == "all":
        connections.close_all()
    elif how == "raw":
        connection.connection.close()
    elif how == "commit off":
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    return 1


@shared_task(name="t.heap")
def heap() -> list[int]:
    """How many objects of this process the collector leaves alone, and how many it looks at."""
    return [gc.get_freeze_count(), len(gc.get_objects())]
