"""The engine of this very process: a child of the pool makes its own."""

import mmap
import os
import struct
from typing import Final

from jobs.celery_app import deadline_board
from jobs.store.engine import connect
from jobs.worker import forks
from jobs.worker.plain_engine import PlainEngine
from jobs.worker.registration import Registration
from jobs.worker.watch import Watch
from jobs.worker.watchdog import Watchdog

_NOTE: Final = struct.Struct("qq")  # a process and the number of its row
_DESCRIBED: Final = ("name", "hostname", "pool", "queues", "tasks", "versions")


class Parent:
    """Memory that a worker shares with the children of its pool: they are there before it is registered."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = deadline_board.memory() if descriptor is None else descriptor
        self._memory = mmap.mmap(-1 if self.descriptor is None else self.descriptor, _NOTE.size)

    def is_registered(self, row: int) -> None:
        """This process is, under this number."""
        _NOTE.pack_into(self._memory, 0, os.getpid(), row)

    def row(self) -> int | None:
        """The number, in a child of that process; None in any other. A process number alone may be another container's too."""
        process, row = _NOTE.unpack_from(self._memory)
        return row if process == os.getppid() else None


def child_engine(parent: Parent) -> PlainEngine:
    """The engine of a prefork child, registered under its parent. Raises RuntimeError in a process that is no child of a worker."""
    number = parent.row()
    connection = connect("jobs-engine child")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(_DESCRIBED)} FROM jobs_worker WHERE id = %s", [number])
        described = cursor.fetchone()
    connection.close()
    if described is None:
        raise RuntimeError("a job's message reached a process that is no worker")
    values = dict(zip(_DESCRIBED, described, strict=True))
    forks.stay_apart()
    engine = PlainEngine(Registration(values | {"pid": os.getpid(), "concurrency": 1, "parent": number}))
    Watch(engine).start()
    Watchdog(engine).start()
    return engine
