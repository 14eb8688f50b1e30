"""How psycopg2 waits in a greenlet: psycogreen's way, but libpq's `connect_timeout`, which it keeps in its own waiting alone, holds too."""

import time
from typing import Any, Final

import psycopg2
from gevent.socket import wait_read, wait_write
from psycogreen.gevent import gevent_wait_callback
from psycopg2 import extensions

_NEW: Final = (extensions.STATUS_SETUP, 20)  # the second is psycopg2's CONN_STATUS_CONNECTING, which it does not export
_LEAST_S: Final = 2  # libpq takes 1 for 2


def patch() -> None:
    """From now on, in this process."""
    extensions.set_wait_callback(_wait)


def _wait(connection: Any) -> None:
    if connection.status in _NEW:
        _connect(connection)
    gevent_wait_callback(connection)


def _connect(connection: Any) -> None:
    """Until it is connected. Raises psycopg2.OperationalError after `connect_timeout` seconds for each host; 0 or none: no limit."""
    options = connection.info.dsn_parameters
    seconds = int(options.get("connect_timeout") or 0)
    if seconds <= 0:
        return
    hosts = (options.get("hostaddr") or options.get("host") or "").count(",") + 1
    end = time.monotonic() + max(seconds, _LEAST_S) * hosts
    late = psycopg2.OperationalError(f"timeout expired: PostgreSQL has not answered within {seconds} s")
    while (state := connection.poll()) != extensions.POLL_OK:
        wait = wait_read if state == extensions.POLL_READ else wait_write
        wait(connection.fileno(), timeout=max(end - time.monotonic(), 0.0), timeout_exc=late)
