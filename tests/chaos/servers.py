"""PostgreSQL and Redis of a run: embedded, on unix sockets, made to fail."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import redis

from jobs.dev import places, postgres, redis_server
from task_queue_project.servers import broker_url
from tests.chaos.processes import ROOT

REDIS = {"appendonly": "no"}  # a restart is empty
LEADER = """SELECT a.pid, split_part(a.application_name, ' ', 3)::int FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 7301 AND a.application_name LIKE 'jobs leader %'"""
AUDIT = """
CREATE TABLE chaos_audit (seq bigserial, at timestamptz DEFAULT clock_timestamp(), job bigint, was text, now text, was_runs int, runs int,
                          was_worker int, worker int, result text, error text);
CREATE TABLE chaos_worker (id int, pid int, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO chaos_audit (job, was, now, was_runs, runs, was_worker, worker, result, error)
  VALUES (new.id, old.status, new.status, old.runs, new.runs, old.worker, new.worker, new.result::text, new.last_error);
  RETURN NULL; END $$;
CREATE FUNCTION chaos_note_worker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO chaos_worker (id, pid) VALUES (new.id, new.pid); RETURN NULL; END $$;
CREATE TRIGGER chaos_audit AFTER UPDATE OF status ON jobs_job FOR EACH ROW EXECUTE FUNCTION chaos_note();
CREATE TRIGGER chaos_worker AFTER INSERT ON jobs_worker FOR EACH ROW EXECUTE FUNCTION chaos_note_worker();
"""


class Redis:
    """The Redis of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = redis_server.start(folder, REDIS)[0]
        self.lock = threading.Lock()  # one fault at a time

    @property
    def broker(self) -> str:
        return broker_url(self.url)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=10)

    def pid(self) -> int:
        with self.client() as client:
            return int(client.info("server")["process_id"])

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        process = psutil.Process(self.pid())
        process.kill()
        psutil.wait_procs([process], timeout=10)

    def start(self) -> None:
        redis_server.start(self.folder, REDIS)

    def duplicate(self, patience: float) -> int:
        """Put every message that lies in a lane there once more; how many. Waits at most `patience` seconds for some to lie there."""
        count, end = 0, time.monotonic() + patience
        with self.client() as client:
            while not count and time.monotonic() < end:
                for key in client.scan_iter("*", count=1000):
                    if client.type(key) == b"list" and (messages := client.lrange(key, 0, -1)):
                        count += len(messages)
                        client.rpush(key, *messages)
        return count

    def waiting(self) -> set[int]:
        """The numbers of the jobs whose messages lie in stock Celery's queues, or are delivered and not acknowledged."""
        with self.client() as client:
            lists = [key for key in client.scan_iter("celery*", count=1000) if client.type(key) == b"list"]
            messages = [json.loads(text) for key in lists for text in client.lrange(key, 0, -1)]
            messages += [json.loads(text)[0] for text in client.hvals("unacked")]
        calls = [json.loads(base64.b64decode(message["body"])) for message in messages]
        return {kwargs["k"] for _, kwargs, _ in calls if "k" in kwargs}

    def stop(self) -> None:
        redis_server.stop(self.folder)


class Postgres:
    """The PostgreSQL of a run, with the audit of every change of status."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = postgres.start(folder)[0]
        self.lock = threading.Lock()

    def prepare(self, environment: dict[str, str]) -> None:
        """Tables and the audit."""
        subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environment, check=True)
        with self.cursor() as cursor:
            cursor.execute(AUDIT)

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        connection = psycopg2.connect(self.url, connect_timeout=10, application_name="chaos")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def halt(self, mode: str) -> None:
        places.run(postgres._binaries() / "pg_ctl", "-D", postgres._data(self.folder), "-m", mode, "-t", "30", "-w", "stop")

    def start(self) -> None:
        postgres.start(self.folder)

    def wait(self, timeout: float = 30) -> None:
        """Until it accepts connections."""
        end = time.monotonic() + timeout
        while True:
            try:
                with self.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return
            except psycopg2.Error:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def kill_backend(self, draw: float) -> None:
        """kill -9 of one client's backend: the server ends all others and recovers."""
        with self.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start"
            )
            pids = [row[0] for row in cursor.fetchall()]
        if not pids:
            raise ConnectionError("nobody is connected now")
        os.kill(pids[int(draw * len(pids))], signal.SIGKILL)

    def terminate(self, pattern: str, draw: float) -> str:
        """Cut one connection whose application name is like this; its name, "" when there is none."""
        with self.cursor() as cursor:
            cursor.execute("SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE %s ORDER BY pid", [pattern])
            found = cursor.fetchall()
            if not found:
                return ""
            pid, name = found[int(draw * len(found))]
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            return str(name)

    def refuse_writes(self, refuse: bool) -> None:
        """For every session, also those that exist."""
        with self.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if refuse else 'off'}")
            cursor.execute("SELECT pg_reload_conf()")

    def leader(self) -> tuple[int, int] | None:
        """Backend and process of the leader."""
        with self.cursor() as cursor:
            cursor.execute(LEADER)
            row = cursor.fetchone()
        return (int(row[0]), int(row[1])) if row else None

    def stop(self) -> None:
        postgres.stop(self.folder)
