"""A PostgreSQL of a test's own, which may be stopped and broken; and jobs that come in meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2

from jobs.dev import embedded, places, postgres
from task_queue_project import servers
from tests.stream import Stream
from tests.waiting import until
from tests.workers import CELERY, ROOT

INSERT = "INSERT INTO jobs_job (task, args) VALUES ('jobs.tasks.sleep', '[0.01]') RETURNING id"


class Server:
    """The embedded PostgreSQL of a data folder, handled as its administrator would."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "postgres"
        self.data_dir = data_dir
        self.url = postgres.address(self.folder)

    def control(self, *words: str) -> None:
        data = postgres._data(self.folder)
        places.run(postgres._binaries() / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", data / "server.log", *words)

    def start(self) -> None:
        embedded.start(self.data_dir)

    def ask(self, statement: str, *values: Any) -> Any:
        """The first value of the answer, from a connection of its own."""
        connection = servers.connect(self.url, timeout=5)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchone()[0] if cursor.description else None
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return bool(self.ask("SELECT true"))
        except psycopg2.Error:
            return False


class Inserter:
    """A plain INSERT of a short job: its number once it is committed. An unanswered commit counts for neither side."""

    def __init__(self, url: str) -> None:
        self.url, self.connection = url, None

    def insert(self) -> int | None:
        try:
            connection: Any = self.connection or servers.connect(self.url, timeout=5)
            self.connection, connection.autocommit = connection, True
            with connection.cursor() as cursor:
                cursor.execute(INSERT)
                return int(cursor.fetchone()[0])
        except psycopg2.Error:
            self.close()
            time.sleep(0.2)  # it is away: not a thousand attempts a second
            return None

    def close(self) -> None:
        if self.connection is not None:
            with suppress(Exception):
                self.connection.close()
        self.connection = None


def inserts(url: str) -> Stream:
    inserter = Inserter(url)
    return Stream(inserter.insert, inserter.close)


@contextmanager
def working(server: Server, environ: dict[str, str], log: Path, pool: str = "gevent") -> Iterator[subprocess.Popen[bytes]]:
    """A migrated database and a worker with its leader child."""
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environ, check=True, timeout=90)
    command = [*CELERY, "-A", "task_queue_project", "worker", "-l", "INFO", "-P", pool, "-c", "4"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out, start_new_session=True)
    try:
        until(lambda: b" ready." in log.read_bytes() or process.poll() is not None, timeout=40)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
