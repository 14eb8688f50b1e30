"""One leader: a session advisory lock, tried and never waited for."""

import logging
import os
import threading
from typing import Any, Final

import psycopg2

from jobs.store import engine
from jobs.store.locks import CHANNEL, LEADER

logger = logging.getLogger(__name__)

NAME: Final = "jobs leader"
PAUSE: Final = 0.5  # seconds between two tries
IDLE: Final = 2.0  # seconds: a leader uses its connection at least once a second, so this one is stopped
ACTIVE: Final = 30.0  # seconds: no query of a leader takes that long

# The pick must walk the due index; a sort of the whole lane at each tick would be the wrong plan.
_SESSION = (
    f"LISTEN {CHANNEL}; SET lock_timeout = '100ms'; SET statement_timeout = '20s'; SET jit = off;"
    " SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan"
)
_STUCK = """
SELECT l.pid, pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %(kind)s AND l.objid = %(number)s AND l.objsubid = 2
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid()
   AND (a.state LIKE 'idle%%' AND clock_timestamp() - a.state_change > make_interval(secs => %(idle)s)
        OR a.state = 'active' AND clock_timestamp() - a.query_start > make_interval(secs => %(active)s))"""


def elect(connection: Any, stop: threading.Event) -> bool:
    """Wait until this session is the leader's; False when told to stop first. Raises psycopg2.Error where it could write nothing."""
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
            cursor.execute(_STUCK, {"kind": LEADER[0], "number": LEADER[1], "idle": IDLE, "active": ACTIVE})
            for pid, ended in cursor.fetchall():
                logger.warning("The leader (session %s) does not answer; taking over: %s", pid, ended)
            stop.wait(PAUSE)
    return False


def connect() -> Any:
    """A connection for a leader or standby; pg_stat_activity shows the process it belongs to.

    Until it is elected it is in the role of its login: another one could neither see that the leader is stuck nor end its session.
    """
    return engine.connect(f"{NAME} {os.getpid()}", as_role=False)
