"""This process's row in jobs_worker and its lock, which PostgreSQL frees the moment the process dies."""

import json
import logging
import select
from typing import Any

from psycopg2 import OperationalError

from jobs.store import locks
from jobs.store.engine import LOST, connect

logger = logging.getLogger("jobs.worker")
_JSON = ("queues", "tasks", "versions")


class Registration:
    """Holds the lock on a connection of its own. Without the lock nothing is admitted."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.connection: Any = None
        self.id = 0
        self.take()

    def take(self) -> None:
        """Insert the row (or put it back under its old number) and lock it. Raises psycopg2.OperationalError."""
        connection = connect(f"jobs-worker-life {self.description['name']}"[:63])
        values = {key: json.dumps(value) if key in _JSON else value for key, value in self.description.items()}
        with connection.cursor() as cursor:
            columns = ", ".join(values)
            marks = ", ".join(f"%({key})s" for key in values)
            if self.id:
                values["id"] = self.id
                cursor.execute(f"INSERT INTO jobs_worker (id, {columns}) VALUES (%(id)s, {marks}) ON CONFLICT (id) DO NOTHING", values)
            else:
                cursor.execute(f"INSERT INTO jobs_worker ({columns}) VALUES ({marks}) RETURNING id", values)
                self.id = cursor.fetchone()[0]
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (locks.WORKER_CLASS, self.id))
            if not cursor.fetchone()[0]:
                connection.close()
                raise OperationalError(f"the lock of worker {self.id} is still held by its former connection")
        self.connection = connection

    def cut(self) -> bool:
        """Whether the lock is not held, or its connection has something to read: PostgreSQL closed it. Costs no round trip."""
        connection = self.connection
        try:
            return connection is None or bool(select.select([connection], [], [], 0)[0])
        except (*LOST, OSError, ValueError):  # closed at this very moment
            return True

    def check(self) -> bool:
        """Whether the lock is held; takes it again when the connection was cut."""
        try:
            if self.connection is not None:
                with self.connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return True
        except LOST as error:
            logger.error("the worker's lock connection is gone: %s", str(error).strip().splitlines()[:1])
            self.connection.close()
            self.connection = None
        try:
            self.take()
        except LOST:
            return False
        logger.warning("the worker's lock is held again")
        return True

    @property
    def held(self) -> bool:
        """Whether this process may admit jobs."""
        return self.connection is not None and not self.connection.closed

    def leave(self) -> None:
        """Remove the row and free the lock."""
        try:
            if self.connection is not None:
                with self.connection.cursor() as cursor:
                    cursor.execute("DELETE FROM jobs_worker WHERE id = %s OR parent = %s", (self.id, self.id))
                self.connection.close()
        except LOST:
            logger.info("PostgreSQL is away; the leader will remove the worker's row")
        self.connection = None
