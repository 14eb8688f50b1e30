"""PgBouncer in transaction mode between Django's connections and PostgreSQL; the engine's own go past it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from jobs import enqueue, enqueue_many
from jobs.dev import places
from jobs.models import Job
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
PORT = "6543"  # only names the socket
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed (apt install pgbouncer)"),
]


@pytest.fixture
def through(tmp_path: Path) -> Iterator[str]:
    """The address of the test database through a bouncer of three server connections."""
    real = settings.DATABASES["default"]
    if not str(real["HOST"]).startswith("/"):
        pytest.skip("the tests run on a PostgreSQL of their own choice, not on the embedded one")
    folder = places.socket_folder(tmp_path)  # owned by the user that may run it
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "ini").write_text(
        f"""[databases]
* = host={real["HOST"]} port={real["PORT"]} user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = {PORT}
auth_type = any
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
logfile = {folder}/log
"""
    )
    for name in ("users", "ini"):
        (folder / name).chmod(0o644)
    assert PROGRAM is not None
    process = subprocess.Popen(
        [PROGRAM, str(folder / "ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **places.unprivileged()
    )
    try:
        until(lambda: (folder / f".s.PGSQL.{PORT}").exists() or process.poll() is not None, timeout=10, what="the bouncer listens")
        assert process.poll() is None, (folder / "log").read_text()
        yield f"postgres://postgres@/{real['NAME']}?host={quote(str(folder))}&port={PORT}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
        shutil.rmtree(folder)


def manage(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_jobs_run_with_the_engine_past_it(through: str, tmp_path: Path) -> None:
    """Jobs that use the database, retry, fail, are cancelled and are inserted through the bouncer; more of them than it has connections."""
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    direct = environment()["DATABASE_URL"]
    beside = {"DATABASE_URL": through, "DATABASE_DIRECT_URL": direct, "JOBS_RETRY_BACKOFF": "0.2"}
    with running_worker(tmp_path / "log", **beside) as worker:
        inside = enqueue("t.retry_inside").id
        fails = enqueue("jobs.tasks.fail", max_retries=1).id
        queries = enqueue_many("t.session", [((), {})] * 40)
        said = manage(environment(**beside), "enqueue", "t.add", "--args", "[1, 2]", "--count", "3", "--wait")
        assert said.returncode == 0, said.stderr
        made = [int(line) for line in said.stdout.split()]
        until(lambda: not Job.objects.filter(finished_at=None).exists(), timeout=60)
        long = enqueue("jobs.tasks.sleep", args=[30])
        until(lambda: Job.objects.get(id=long.id).status == "running", timeout=15)
        with connection.cursor() as cursor:
            cursor.execute("SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
            names = {row[0].split()[0] for row in cursor.fetchall() if row[0]}
        from jobs import control

        control.cancel([long.id], "sara")
        until(lambda: Job.objects.get(id=long.id).status == "cancelled", timeout=10)
        assert worker.poll() is None
    assert {"jobs-worker-life", "jobs-commit", "jobs"} <= names, "the engine's sessions are PostgreSQL's own"
    assert set(Job.objects.filter(id__in=[*queries, *made]).values_list("status", "runs")) == {("completed", 1)}
    assert [Job.objects.get(id=id).status for id in (inside, fails)] == ["completed", "failed"]
    assert "Traceback" not in (tmp_path / "log").read_text().replace("Traceback (most recent call last):\n  File", "", 2)


def test_the_pages_work_through_it(through: str) -> None:
    """Each in a process of its own, with the file that a cursor of the server would send elsewhere."""
    enqueue_many("jobs.tasks.sleep", [((0,), {})] * 20)
    code = (
        "import json, django; django.setup()\n"
        "from django.test import Client; from django.contrib.auth import get_user_model\n"
        "client = Client(); client.force_login(get_user_model().objects.create_superuser('sara', password='x'))\n"
        "read = lambda answer: len(b''.join(answer) if answer.streaming else answer.content)\n"
        "addresses = ['/', '/jobs/', '/jobs/queues/', '/jobs/workers/', '/admin/jobs/job/', '/jobs/export/?format=json']\n"
        "answers = {one: client.get(one, HTTP_HOST='localhost') for one in addresses}\n"
        "print(json.dumps({one: [answer.status_code, read(answer)] for one, answer in answers.items()}))\n"
    )
    environ = environment(DATABASE_URL=through, DATABASE_DIRECT_URL=environment()["DATABASE_URL"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert {address: status for address, (status, _) in found.items() if status != 200} == {}
    assert all(size > 200 for _, size in found.values())


def test_without_a_direct_address_the_check_says_what_to_set(through: str) -> None:
    said = manage(environment(DATABASE_URL=through), "check", "--database", "default")
    assert said.returncode != 0
    assert "DATABASE_DIRECT_URL" in said.stderr
    with_it = manage(environment(DATABASE_URL=through, DATABASE_DIRECT_URL=environment()["DATABASE_URL"]), "check", "--database", "default")
    assert with_it.returncode == 0, with_it.stderr
    assert manage(dict(os.environ), "check", "--database", "default").returncode == 0


def test_without_a_direct_address_worker_and_leader_do_not_start(through: str, tmp_path: Path) -> None:
    """They started, held no lock for longer than a transaction, and nothing ran."""
    for beside in ({"DATABASE_URL": through}, {"DATABASE_DIRECT_URL": through}):
        said = manage(environment(**beside, LANGUAGE_CODE="en"), "dispatch")
        assert said.returncode == 1
        assert said.stderr.count("A pooler (PgBouncer) answers") == 1
        assert "Traceback" not in said.stderr
        assert "DATABASE_DIRECT_URL" in said.stderr
        with running_worker(tmp_path / "log", **beside, LANGUAGE_CODE="en") as worker:
            assert worker.wait(10) == 1
        log = (tmp_path / "log").read_text()
        assert log.count("A pooler (PgBouncer) answers") == 1
        assert "Traceback" not in log
        assert "leader now" not in log


def test_who_inserts_through_it_unaware_loses_nothing(through: str) -> None:
    """What these prepare may be gone at the next insert, or be there already: another client of the same session made it."""
    code = (
        "import django, sys; django.setup()\n"
        "from jobs import enqueue; from django.db import connection; from jobs.store import kept\n"
        "connection.ensure_connection(); print('ready', flush=True); sys.stdin.read()\n"
        "for number in range(50): enqueue('jobs.tasks.sleep', args=[0], name='x'); enqueue('jobs.tasks.sleep', args=[0])\n"
        "print(len(kept._gone))\n"
    )
    command, environ = [sys.executable, "-c", code], environment(DATABASE_URL=through)
    producers = [subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(5)]
    for producer in producers:
        assert producer.stdout is not None
        assert producer.stdout.readline() == b"ready\n"
    said = [producer.communicate(timeout=60)[0] for producer in producers]
    assert [producer.returncode for producer in producers] == [0] * 5
    assert Job.objects.count() == 500
    assert set(said) <= {b"0\n", b"1\n"}, "one that was gone is enough to give up"
