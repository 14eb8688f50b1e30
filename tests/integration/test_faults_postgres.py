"""PostgreSQL restarted, killed, away, full, out of connections, failed over: what was accepted ends, after one run."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest

from jobs.dev import embedded, places, postgres
from task_queue_project import servers
from tests.own_postgres import Server, inserts, working
from tests.stream import Stream
from tests.waiting import until

AGAIN = 5.0  # seconds from PostgreSQL's return to the next start of a job; a loaded machine gets twice as long
LOADED = 2


@pytest.fixture
def server(data_dir: Path) -> Server:
    embedded.start(data_dir)
    return Server(data_dir)


@pytest.fixture
def environ(server: Server, own_environ: dict[str, str]) -> dict[str, str]:
    return own_environ | {"DATABASE_URL": server.url, "REDIS_URL": embedded.running(server.data_dir)["REDIS_URL"]}


def seconds_until_next_start(server: Server, since: Any) -> float:
    found = until(
        lambda: server.ask("SELECT extract(epoch FROM min(started_at) - %s)::float FROM jobs_job WHERE started_at > %s", since, since),
        timeout=60,
        what="a job starts",
    )
    return float(found)


def go_through(server: Server, stream: Stream, fault: Callable[[], None]) -> float:
    """Let jobs run, cause the fault, wait until PostgreSQL is back; how long it took until a job started."""
    begin = len(stream.ids)
    until(lambda: len(stream.ids) > begin + 20, timeout=60, what="jobs are accepted")
    until(lambda: server.ask("SELECT count(*) > %s FROM jobs_job WHERE status = 'completed'", begin), timeout=60)
    fault()
    until(server.answers, timeout=60, what="PostgreSQL is back")
    return seconds_until_next_start(server, server.ask("SELECT clock_timestamp()"))


def ends(log: Path) -> Counter[bytes]:
    return Counter(re.findall(rb"\[([0-9a-f-]{36})\] succeeded", log.read_bytes()))


def all_end_after_one_run(server: Server, stream: Stream, log: Path) -> None:
    """Each body ended once. A claim whose answer was lost is released before its body begins: one more of `runs`, no attempt spent."""
    until(lambda: len(stream.ids) > 40, timeout=60, what="jobs are accepted again")
    stream.stop.set()
    stream.thread.join()
    until(lambda: not server.ask("SELECT count(*) FROM jobs_job WHERE status IN ('pending', 'running')"), timeout=60, what="all ended")
    assert server.ask("SELECT count(*) FROM jobs_job WHERE id = ANY (%s) AND status = 'completed'", stream.ids) == len(stream.ids)
    assert server.ask("SELECT array_agg(DISTINCT attempts) FROM jobs_job") == [1]
    assert server.ask("SELECT array_agg(job_id || ' ' || outcome) FROM jobs_attempt") is None
    jobs = server.ask("SELECT count(*) FROM jobs_job")
    until(lambda: len(ends(log)) == jobs, timeout=20, what="the log names each end")
    assert set(ends(log).values()) == {1}
    assert server.ask("SELECT count(*) FROM jobs_deadletterqueue") == 0


def faults(server: Server) -> dict[str, Callable[[], None]]:
    def backend() -> None:
        victim = server.ask("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'jobs-commit%'")
        os.kill(victim, signal.SIGKILL)  # the server ends all others and recovers
        until(lambda: not server.answers(), timeout=2, every=0.001, what="it recovers") if server.answers() else None

    return {
        "fast": lambda: server.control("-m", "fast", "restart"),
        "immediate": lambda: server.control("-m", "immediate", "restart"),
        "backend": backend,
    }


def test_postgresql_is_restarted_and_loses_a_backend(server: Server, environ: dict[str, str], tmp_path: Path) -> None:
    taken = {}
    with working(server, environ, tmp_path / "log") as worker, inserts(server.url) as stream:
        for name, fault in faults(server).items():
            taken[name] = go_through(server, stream, fault)
        all_end_after_one_run(server, stream, tmp_path / "log")
        assert worker.poll() is None
    assert max(taken.values()) < AGAIN * LOADED, taken


@pytest.mark.chaos
def test_twenty_restarts(server: Server, environ: dict[str, str], tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    taken = []
    with working(server, environ, tmp_path / "log") as worker, inserts(server.url) as stream:
        for number in range(20):
            taken.append(go_through(server, stream, list(faults(server).values())[number % 2]))
        all_end_after_one_run(server, stream, tmp_path / "log")
        assert worker.poll() is None
    print("seconds until a job started again:", sorted(round(value, 2) for value in taken))
    record_property("seconds until a job started again", taken)
    assert max(taken) < AGAIN * LOADED


@pytest.mark.chaos
def test_postgresql_is_away_for_twenty_seconds(server: Server, environ: dict[str, str], tmp_path: Path) -> None:
    def away() -> None:
        server.control("-m", "immediate", "stop")
        time.sleep(20)
        server.start()

    with working(server, environ, tmp_path / "log") as worker, inserts(server.url) as stream:
        assert go_through(server, stream, away) < AGAIN * LOADED
        all_end_after_one_run(server, stream, tmp_path / "log")
        assert worker.poll() is None


@pytest.mark.chaos
def test_no_connection_is_left(server: Server, environ: dict[str, str], tmp_path: Path) -> None:
    """The worker's connections are cut while others have taken every place; it comes back as soon as there is one."""
    server.ask("SELECT true")
    with working(server, environ, tmp_path / "log") as worker, inserts(server.url) as stream:

        def crowded() -> None:
            guests = []
            with servers.connect(server.url, timeout=5) as keeper:
                keeper.autocommit = True
                cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'jobs%'"
                with keeper.cursor() as cursor:
                    end = time.monotonic() + 6
                    while time.monotonic() < end:
                        try:
                            guests.append(servers.connect(server.url, timeout=5))
                        except psycopg2.Error:
                            cursor.execute(cut)
                            time.sleep(0.05)
            keeper.close()
            for guest in guests:
                guest.close()

        assert go_through(server, stream, crowded) < AGAIN * LOADED
        stream.stop.set()
        stream.thread.join()
        until(lambda: not server.ask("SELECT count(*) FROM jobs_job WHERE status IN ('pending', 'running')"), timeout=60)
        assert server.ask("SELECT count(*) FROM jobs_job WHERE id = ANY (%s) AND status <> 'completed'", stream.ids) == 0
        assert worker.poll() is None


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own, which can be full. Needs the right to mount."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip() if done else 'no mount'}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.chaos
def test_the_disk_is_full(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    with small_disk(data_dir / "postgres", 200):
        options = embedded.Options(postgres={"max_wal_size": "64MB", "min_wal_size": "32MB"})
        urls = embedded.start(data_dir, options=options)
        server = Server(data_dir)
        try:
            with working(server, own_environ | urls, tmp_path / "log") as worker, inserts(server.url) as stream:
                filler = data_dir / "postgres" / "filler"

                def full() -> None:
                    with filler.open("wb") as file, suppress(OSError):
                        while True:
                            file.write(b"\0" * 1_000_000)
                            file.flush()
                    refused = time.monotonic() + 8
                    while time.monotonic() < refused:  # inserts and outcomes fail, or the server ends itself
                        with suppress(psycopg2.Error):
                            server.ask("INSERT INTO jobs_job (task, args) SELECT 'jobs.tasks.sleep', to_json(ARRAY[repeat('x', 9000)])")
                    filler.unlink()
                    embedded.start(data_dir, options=options)

                assert go_through(server, stream, full) < AGAIN * LOADED
                stream.stop.set()
                stream.thread.join()
                left = "SELECT count(*) FROM jobs_job WHERE id = ANY (%s) AND status <> 'completed'"
                until(lambda: not server.ask(left, stream.ids), timeout=60, what="all that was accepted is completed")
                assert worker.poll() is None
        finally:
            embedded.stop(data_dir)


@pytest.mark.chaos
def test_a_standby_takes_over(server: Server, environ: dict[str, str], tmp_path: Path) -> None:
    """DATABASE_URL names both hosts; the first dies, the second is promoted."""
    binaries, sockets = postgres._binaries(), places.socket_folder(server.folder)
    second = server.folder.parent / "standby"
    places.own(second)
    places.run(
        binaries / "pg_basebackup",
        "-h",
        sockets,
        "-p",
        str(postgres.PORT),
        "-U",
        "postgres",
        "-D",
        second / "data",
        "-R",
        "-X",
        "stream",
        "-c",
        "fast",
    )
    with (second / "data" / "jobs.conf").open("a") as file:
        file.write(f"unix_socket_directories = '{second}'\nsynchronous_standby_names = ''\n")
    places.run(binaries / "pg_ctl", "-D", second / "data", "-w", "-l", second / "log", "start")
    hosts = quote(f"{sockets},{second}")
    both = f"postgres://postgres@/{postgres.DATABASE}?host={hosts}&port={postgres.PORT}&target_session_attrs=read-write"
    try:
        # what is committed is on both: the promise of a failover is only as good as its replication
        server.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        server.ask("SELECT pg_reload_conf()")
        until(lambda: server.ask("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"), timeout=20)
        server.url = both
        with working(server, environ | {"DATABASE_URL": both}, tmp_path / "log") as worker, inserts(both) as stream:

            def fail_over() -> None:
                server.control("-m", "immediate", "stop")
                places.run(binaries / "pg_ctl", "-D", second / "data", "-w", "promote")

            assert go_through(server, stream, fail_over) < AGAIN * LOADED
            all_end_after_one_run(server, stream, tmp_path / "log")
            assert worker.poll() is None
    finally:
        places.run(binaries / "pg_ctl", "-D", second / "data", "-m", "immediate", "stop")
