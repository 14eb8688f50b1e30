"""The tasks' own database connections under gevent: kept for the next task instead of opened anew for each.

Each task runs in a greenlet of its own and Celery closes its connections afterwards; a new one costs PostgreSQL a process
and the task about 5 ms. What a task has left in its session (settings, temporary tables, advisory locks) goes with it.
"""

import inspect
import os
import threading
import time
from functools import cache
from typing import Any, Final

import gevent
from celery.fixups.django import DjangoFixup, DjangoWorkerFixup
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from gevent.monkey import get_original

from jobs.store import short
from jobs.worker.greenlets import TaskGreenlet

# Seconds that a session may have had nothing to do. After some minutes a firewall forgets one, and who asks over it hears nothing.
REST_S: Final = 60.0
_IDLE = 0  # libpq's PQTRANS_IDLE, in psycopg2 and psycopg alike


def _has_something_to_read(connection: Any) -> bool:
    """On an idle connection that is the server's farewell."""
    try:
        poller = get_original("select", "poll")()
    except AttributeError:  # Windows
        return bool(get_original("select", "select")([connection.fileno()], [], [], 0)[0])
    poller.register(connection.fileno())
    return any(event & ~4 for _, event in poller.poll(0))  # 4: POLLOUT, it can be written to


def _said_at_each_begin(connection: Any) -> list[Any]:
    """What the driver says with each BEGIN, though the session was emptied: both drivers' names of it."""
    return [getattr(connection, name, None) for name in ("isolation_level", "readonly", "read_only", "deferrable")]


class Kept:
    """Mixin of a Django DatabaseWrapper: `close()` keeps the session, the next connection of the alias takes it over."""

    keep: int = 0
    _idle: dict[str, list[tuple[Any, float]]] = {}  # with the time.monotonic() since when
    _guard = threading.Lock()

    def get_new_connection(self: Any, conn_params: Any) -> Any:
        """A kept session that the server has not ended, nor anything on the way by now, the one used last first; else a new one."""
        while True:
            with self._guard:
                idle = self._idle.setdefault(self.alias, [])
                connection, since = idle.pop() if idle else (None, 0.0)
            if connection is None:
                connection = super().get_new_connection(conn_params)  # type: ignore[misc]
            elif time.monotonic() - since > REST_S or connection.closed or _has_something_to_read(connection):
                connection.close()
                continue
            self._begun = _said_at_each_begin(connection)
            return connection

    def _close(self: Any) -> None:
        if self._is_clean():
            short.forget(self)
            try:
                with self.connection.cursor() as cursor:
                    cursor.execute("DISCARD ALL")
            except self.Database.Error:
                pass
            else:
                with self._guard:
                    idle = self._idle.setdefault(self.alias, [])
                    if len(idle) < self.keep:
                        idle.append((self.connection, time.monotonic()))
                        return
        super()._close()  # type: ignore[misc]

    def _is_clean(self: Any) -> bool:
        connection = self.connection
        return (
            connection is not None and not connection.closed and not self.errors_occurred and not self.in_atomic_block
            and connection.autocommit and connection.info.transaction_status == _IDLE and _said_at_each_begin(connection) == self._begun
        )  # fmt: skip


def keep_connections(app: Any, count: int) -> None:
    """From now on every PostgreSQL alias without a pool keeps up to count sessions in this process.

    And Celery closes the connections and caches of those greenlets only that have any: a task has a greenlet of its own, and mostly
    none.
    """
    create, create_cache = connections.create_connection, caches.create_connection
    # Opened outside of tasks, by Django's checks for one: tasks inherit these, not so connections.
    shared = [cache for cache in caches.all(initialized_only=True) if _is_closable(cache)]

    def create_kept(alias: str) -> BaseDatabaseWrapper:
        made: Any = create(alias)
        gevent.getcurrent().has_connections = True
        if made.vendor == "postgresql" and not _has_pool(made) and not isinstance(made, Kept):
            made.__class__ = _keeping(made.__class__, count)
        return made

    def create_marked(alias: str) -> Any:
        made, current = create_cache(alias), gevent.getcurrent()
        if not _is_closable(made):
            return made
        if isinstance(current, TaskGreenlet):
            current.has_caches = True
        else:
            shared.append(made)
        return made

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=Kept._idle.clear)  # its parent goes on with them; the drivers end no other process's session
    connections.create_connection = create_kept  # type: ignore[method-assign]
    caches.create_connection = create_marked  # type: ignore[method-assign]
    for fixup in app._fixups:
        if isinstance(fixup, DjangoFixup):
            _close_only_where_opened(fixup.worker_fixup, shared)


@cache
def _keeping(kind: type[BaseDatabaseWrapper], count: int) -> Any:
    """The backend's class with the mixin: made once, for to make a class takes longer than all else about a connection that was kept."""
    return type("DatabaseWrapper", (Kept, kind), {"keep": count, "__module__": kind.__module__})


def _has_pool(made: BaseDatabaseWrapper) -> bool:
    """Whether Django or another backend keeps the sessions itself: who waits in its pool is woken by a session that comes back to it alone.

    A backend that both opens and closes in ways of its own has a pool; one that only looks on (django-tenants, django-prometheus) does not.
    """
    opens, *closes = (not getattr(type(made), name).__module__.startswith("django.") for name in ("get_new_connection", "close", "_close"))
    return bool(made.settings_dict["OPTIONS"].get("pool")) or (opens and any(closes))


def _is_closable(cache: Any) -> bool:
    """Whether closing it does anything; most of Django's do nothing."""
    return type(cache).close is not BaseCache.close


def _close_only_where_opened(fixup: DjangoWorkerFixup, shared: list[BaseCache]) -> None:
    close, close_caches = fixup._close_database, fixup.close_cache
    # Celery 5.5 and 5.6 leave open what is younger than CONN_MAX_AGE; here nobody would use it again.
    always = {"force": True} if "force" in inspect.signature(close).parameters else {}

    def close_opened(**_: Any) -> None:
        if getattr(gevent.getcurrent(), "has_connections", False):
            close(**always)

    def close_opened_caches() -> None:
        if shared or getattr(gevent.getcurrent(), "has_caches", False):
            close_caches()

    fixup._close_database, fixup.close_cache = close_opened, close_opened_caches
