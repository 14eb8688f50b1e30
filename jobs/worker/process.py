"""The engine of this very process: a forked child makes its own."""

import os
import socket

from jobs.store.engine import connect
from jobs.worker import forks
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from jobs.worker.watch import Watch
from jobs.worker.watchdog import Watchdog

# The children are forked before their parent is registered, so they find its row by its process number.
_PARENT = """SELECT id, name, hostname, pool, queues, tasks, versions FROM jobs_worker
              WHERE pid = %s AND hostname = %s AND parent IS NULL ORDER BY id DESC LIMIT 1"""


def child_engine() -> PlainEngine:
    """The engine of a prefork child, registered under its parent. Raises RuntimeError in a process that is no child of a worker."""
    connection = connect("jobs-engine child")
    with connection.cursor() as cursor:
        cursor.execute(_PARENT, [os.getppid(), socket.gethostname()])
        row = cursor.fetchone()
    connection.close()
    if row is None:
        raise RuntimeError("a job's message reached a process that is no worker")
    parent, *described = row
    values = dict(zip(("name", "hostname", "pool", "queues", "tasks", "versions"), described, strict=True))
    forks.stay_apart()
    engine = PlainEngine(Registration(values | {"pid": os.getpid(), "concurrency": 1, "parent": parent}))
    Watch(engine).start()
    Watchdog(engine).start()
    return engine
