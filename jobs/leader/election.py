"""One leader: a session advisory lock, tried and never waited for."""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from jobs.store import engine
from jobs.store.leadership import NAME
from jobs.store.locks import CHANNEL, LEADER, LEADER_HELD, SLEEPING

logger = logging.getLogger(__name__)

PAUSE: Final = 0.5  # seconds between two tries
IDLE: Final = 2.0  # seconds: a leader uses its connection at least once a second, so this one is stopped
ACTIVE: Final = 30.0  # seconds: no query of a leader takes that long

# The pick must walk the due index; a sort of the whole lane at each tick would be the wrong plan.
_SESSION = (
    f"LISTEN {CHANNEL}; SET lock_timeout = '100ms'; SET statement_timeout = '20s'; SET jit = off;"
    " SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan"
)
_HOLDER = f"""
SELECT a.pid, a.state = 'active', a.state_change::text FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE {LEADER_HELD} AND l.pid <> pg_backend_pid() AND (starts_with(a.state, 'idle') OR a.state = 'active')"""
_END = f"SELECT pg_terminate_backend(pid) FROM ({_HOLDER}) AS holder (pid, active, since) WHERE (pid, active, since) = %(seen)s"
_AWAKE = """
SELECT pg_advisory_unlock(classid::int, objid::int) FROM pg_locks
 WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = %s AND objid = %s AND objsubid = 2"""


class Watch:
    """Ends the session of a leader that has done nothing for too long by our own clock: that of the database may be set."""

    def __init__(self) -> None:
        self.seen: tuple[int, bool, str] | None = None  # the leader's session, and since when it is in its state
        self.since = self.looked = 0.0  # monotonic: when it was first seen so, and last

    def look(self, cursor: Any) -> None:
        """To be called oftener than IDLE. After a longer time, in which this process was stopped itself, it begins anew."""
        cursor.execute(_HOLDER)
        before, self.seen, now = self.seen, cursor.fetchone(), time.monotonic()
        if self.seen is None or self.seen != before or now - self.looked > IDLE:
            self.since = now
        self.looked = now
        if self.seen is None or now - self.since <= (ACTIVE if self.seen[1] else IDLE):
            return
        cursor.execute(_END, {"seen": self.seen})
        for (ended,) in cursor.fetchall():
            logger.warning("The leader (session %s) does not answer; taking over: %s", self.seen[0], ended)


def elect(connection: Any, stop: threading.Event, beside: Callable[[Any, int | None], None] = lambda _cursor, _holder: None) -> bool:
    """Wait until this session is the leader's; False when told to stop first. Raises psycopg2.Error where it could write nothing.

    `beside`: what a standby does meanwhile, with a cursor and the number of the leader's session.
    """
    watch = Watch()
    with connection.cursor() as cursor:
        while not stop.is_set():
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", LEADER)
            if cursor.fetchone()[0]:
                cursor.execute("SHOW transaction_read_only")
                if cursor.fetchone()[0] == "on":
                    raise psycopg2.errors.ReadOnlySqlTransaction("PostgreSQL is read-only")
                engine.assume_role(connection)
                cursor.execute(_SESSION)
                return True
            watch.look(cursor)
            beside(cursor, watch.seen[0] if watch.seen else None)
            stop.wait(PAUSE)
    return False


def begin_anew(connection: Any) -> None:
    """Undo what a leader has left in its session but the lock: a transaction, prepared statements, that it sleeps, what it was told."""
    with connection.cursor() as cursor:
        if connection.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            cursor.execute("ROLLBACK")
        cursor.execute("DEALLOCATE ALL")
        cursor.execute(_AWAKE, SLEEPING)
    connection.notifies.clear()


def connect() -> Any:
    """A connection for a leader or standby; pg_stat_activity shows the process it belongs to.

    Until it is elected it is in the role of its login: another one could neither see that the leader is stuck nor end its session.
    """
    return engine.connect(f"{NAME} {os.getpid()}", as_role=False)
