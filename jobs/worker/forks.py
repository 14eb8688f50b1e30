"""A process that a job forks is not this worker: it has none of the engine's sessions, and none of the worker's greenlets.

A copy of the lock's session would keep PostgreSQL from seeing that the worker has died; copies of the greenlets would read the
worker's answers.
"""

import os
import sys
from contextlib import suppress

import psycopg2

from jobs.store import engine


def stay_apart() -> None:
    """Of all that this process forks from now on."""
    if hasattr(os, "register_at_fork") and not _registered:
        os.register_at_fork(after_in_child=_leave)
        _registered.append(True)


_registered: list[bool] = []


def _leave() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for connection in list(engine.opened):
        with suppress(psycopg2.InterfaceError):  # closed before
            os.dup2(nowhere, connection.fileno(), inheritable=False)
    os.close(nowhere)
    if "gevent.hub" in sys.modules:
        _begin_anew()


def _begin_anew() -> None:
    """A loop without any of the worker's watchers; whoever forked goes on in it."""
    from gevent import _hub_local, get_hub, getcurrent

    hub = _hub_local.get_hub_if_exists()
    if hub is None:
        return
    hub.loop.destroy()
    _hub_local.set_hub(None)
    _hub_local.set_loop(None)
    here = getcurrent()
    if here.parent is hub:
        anew = get_hub()
        anew.parent = hub.parent  # else the greenlet that makes it, whose parent it becomes
        here.parent = anew
