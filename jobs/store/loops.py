"""Whether an event loop runs for the caller. asyncio knows one for each thread of the system, which greenlets share.

There it seems to run for all of them, so Django refuses each its queries, and finds it other connections than its own.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.utils import asyncio as of_django

_here = threading.local()  # the greenlet's own, where gevent has patched it
_told_apart: list[int] = []  # the thread of the system, in which greenlets are


def tell_apart() -> None:
    """From now on Django asks about loops of the same greenlet, and each has its own connections, whatever loop runs beside it."""
    own: Any = threading.local()
    for each in connections.all(initialized_only=True):
        setattr(own, each.alias, each)
    connections._connections = own  # type: ignore[attr-defined]
    of_django.get_running_loop = _running_here  # type: ignore[attr-defined]
    _told_apart[:] = [threading.get_native_id()]


def are_told_apart() -> bool:
    """Whether this is the thread whose greenlets are told apart; the sockets that they share serve no other."""
    return _told_apart == [threading.get_native_id()]


def runs_here() -> bool:
    """Whether a loop runs for this thread or, where they are told apart, for this greenlet."""
    loop = asyncio._get_running_loop()
    if loop is None or not _told_apart:
        return loop is not None
    return not getattr(_here, "is_outside", False) and getattr(loop, "_thread_id", None) in (None, threading.get_ident())


@contextmanager
def outside() -> Iterator[None]:
    """As if no loop ran here. Greenlets that go on meanwhile still find it running."""
    if _told_apart:
        before, _here.is_outside = getattr(_here, "is_outside", False), True
        try:
            yield
        finally:
            _here.is_outside = before
        return
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


def _running_here() -> asyncio.AbstractEventLoop:
    """In the place of asyncio's own in Django's check."""
    if not runs_here():
        raise RuntimeError("no running event loop")
    return asyncio.get_running_loop()
