"""A host that is gone without a word: no process of it ends, its lines just carry nothing any more. Two hosts by a network namespace."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.dev import embedded, postgres
from tests.mail_server import free_port
from tests.own_postgres import Server
from tests.waiting import until
from tests.workers import ROOT

pytestmark = pytest.mark.chaos
HERE, THERE = "10.77.0.1", "10.77.0.2"
HOST, WIRE, OTHER_END = "jobs-away", "jobs-here", "jobs-there"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@pytest.fixture
def wire() -> Iterator[None]:
    """Leads to another host."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2")
    try:
        ip("netns", "add", HOST)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    try:
        ip("link", "add", WIRE, "type", "veth", "peer", "name", OTHER_END, "netns", HOST)
        ip("addr", "add", f"{HERE}/24", "dev", WIRE)
        ip("link", "set", WIRE, "up")
        ip("-n", HOST, "addr", "add", f"{THERE}/24", "dev", OTHER_END)
        ip("-n", HOST, "link", "set", OTHER_END, "up")
        ip("-n", HOST, "link", "set", "lo", "up")
        yield
    finally:
        ip("netns", "del", HOST)  # and with it the wire


@contextmanager
def worker(environ: dict[str, str], log: Path, *where: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        *where,
        sys.executable,
        "-m",
        "celery",
        "-A",
        "task_queue_project",
        "worker",
        "-l",
        "INFO",
        "-P",
        "gevent",
        "-c",
        "4",
        "-n",
        log.stem,
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=out, start_new_session=True)
    try:
        until(lambda: b" ready." in log.read_bytes() or process.poll() is not None, timeout=40)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def test_its_jobs_run_elsewhere_and_what_it_says_later_is_refused(
    wire: None, own_environ: dict[str, str], data_dir: Path, tmp_path: Path
) -> None:
    port = free_port()
    options = embedded.Options(postgres={"listen_addresses": HERE}, redis={"port": str(port), "bind": HERE, "protected-mode": "no"})
    urls = embedded.start(data_dir, options=options)
    server = Server(data_dir)
    with (postgres._data(data_dir / "postgres") / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {THERE}/32 trust\n")
    server.ask("SELECT pg_reload_conf()")
    environ = own_environ | urls | {"DEBUG": "False", "ALLOWED_HOSTS": "localhost", "SECRET_KEY": "of-both-hosts" * 5}
    over_the_wire = {"DATABASE_URL": f"postgres://postgres@{HERE}:{postgres.PORT}/task_queue_db", "REDIS_URL": f"redis://{HERE}:{port}/0"}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=ROOT, env=environ, check=True, timeout=90)
    with worker(environ | over_the_wire, tmp_path / "away.log", "ip", "netns", "exec", HOST):
        server.ask("INSERT INTO jobs_job (task, args) SELECT 'jobs.tasks.sleep', '[20]' FROM generate_series(1, 4)")
        until(lambda: server.ask("SELECT count(*) FROM jobs_job WHERE status = 'running'") == 4, timeout=20)
        with worker(environ, tmp_path / "here.log"):
            ip("-n", HOST, "link", "set", OTHER_END, "down")
            until(lambda: server.ask("SELECT count(*) FROM jobs_job WHERE losses = 1") == 4, timeout=40, what="its locks are free")
            assert server.ask("SELECT count(*) FROM pg_stat_activity WHERE client_addr = %s", THERE) == 0
            until(lambda: server.ask("SELECT count(*) FROM jobs_job WHERE status = 'completed'") == 4, timeout=60)
            ip("-n", HOST, "link", "set", OTHER_END, "up")
            late = b"came late and was refused"
            until(lambda: (tmp_path / "away.log").read_bytes().count(late) == 4, timeout=40, what="the runs there have ended too")
    assert server.ask("SELECT array_agg(DISTINCT (status, runs, losses)::text) FROM jobs_job") == ["(completed,2,1)"]
    assert server.ask("SELECT count(DISTINCT worker) FROM jobs_job") == 1
