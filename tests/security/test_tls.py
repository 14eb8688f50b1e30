"""Real servers with TLS and passwords: certificates made here, each session encrypted, nothing without them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
import redis

from jobs import Celery, enqueue
from jobs.dev import places, postgres
from jobs.store import broker
from tests.integration.test_engine import ended
from tests.mail_server import free_port
from tests.waiting import until
from tests.workers import ROOT, running_worker, settings_of

WORD = "p@ss word/1"


def _postgres_home() -> Path | None:
    """A PostgreSQL that was built with TLS."""
    for home in [*sorted(Path("/usr/lib/postgresql").glob("*")), postgres._home()]:
        found = subprocess.run([home / "bin" / "pg_config", "--configure"], capture_output=True, text=True, timeout=10, check=False)
        if found.returncode == 0 and ("with-openssl" in found.stdout or "ssl=openssl" in found.stdout):
            return home
    return None


def _redis_program() -> str | None:
    """A Redis that was built with TLS."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        return None
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=10, check=False).stdout
    return program if "libssl" in linked else None


HOME, REDIS = (_postgres_home(), _redis_program()) if shutil.which("openssl") else (None, None)
pytestmark = pytest.mark.skipif(
    HOME is None or REDIS is None, reason="needs openssl, and a PostgreSQL and a Redis built with TLS (apt install postgresql redis-server)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """Where both answer, and what signs for them."""

    database_url: str
    redis_url: str
    redis_port: int
    authority: Path


def certificates(folder: Path) -> Path:
    """An authority and a certificate for localhost signed by it; returns the authority's."""
    commands = [
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out server.crt",
    ]
    for command in commands:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / "ca.crt"


@pytest.fixture
def secured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secured]:
    base = places.socket_folder(tmp_path)  # owned by the user that PostgreSQL runs as
    base.chmod(0o755)
    authority = certificates(base)
    port, redis_port = free_port(), free_port()
    monkeypatch.setattr(postgres, "_home", lambda: HOME)
    folder = base / "postgres"
    (folder / "data").mkdir(parents=True)
    places.own(folder / "data")
    for name in ("server.key", "server.crt"):
        copy = folder / "data" / f"../{name}"
        shutil.copy(base / name, copy)
        user = places.unprivileged()
        if user:
            os.chown(copy, user["user"], user["group"])
        copy.chmod(0o600)
    process = None
    try:
        postgres.start(folder)
        with psycopg2.connect(postgres.address(folder)) as session, session.cursor() as cursor:
            cursor.execute(
                "SET password_encryption = 'scram-sha-256'; CREATE ROLE jobs LOGIN PASSWORD %s; ALTER DATABASE task_queue_db OWNER TO jobs",
                [WORD],
            )
            cursor.execute("ALTER SCHEMA public OWNER TO jobs")
        session.close()
        postgres.stop(folder)
        (folder / "data" / "pg_hba.conf").write_text("local all postgres trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        secure = {"ssl": "on", "ssl_cert_file": str(folder / "server.crt"), "ssl_key_file": str(folder / "server.key")}
        place = {"listen_addresses": "127.0.0.1", "port": str(port)}
        monkeypatch.setattr(postgres, "PORT", port)
        postgres.start(folder, secure | place)
        process = subprocess.Popen(
            [
                str(REDIS), "--port", "0", "--tls-port", str(redis_port), "--bind", "127.0.0.1", "--requirepass", WORD, "--save", "",
                "--tls-cert-file", base / "server.crt", "--tls-key-file", base / "server.key", "--tls-ca-cert-file", authority,
                "--tls-auth-clients", "no", "--dir", tmp_path,
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        word = quote(WORD, safe="")
        yield Secured(
            database_url=f"postgres://jobs:{word}@localhost:{port}/task_queue_db?sslmode=verify-full&sslrootcert={quote(str(authority))}",
            redis_url=f"rediss://:{word}@localhost:{redis_port}/0?ssl_cert_reqs=required&ssl_ca_certs={quote(str(authority))}",
            redis_port=redis_port,
            authority=authority,
        )
    finally:
        if process is not None:
            process.terminate()
            process.wait(10)
        postgres.stop(folder)
        shutil.rmtree(base, ignore_errors=True)


def test_everything_runs_over_tls_with_passwords_and_nothing_without(secured: Secured, tmp_path: Path) -> None:
    environ = os.environ | {
        "DATABASE_URL": secured.database_url, "REDIS_URL": secured.redis_url, "DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT),
    }  # fmt: skip

    _nobody_else_is_let_in(secured)

    def manage(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    manage("migrate", "-v", "0")
    log = tmp_path / "log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "task_queue_project", "worker", "-l", "INFO", "-P", "gevent", "-c", "4"],
            cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        assert len(manage("enqueue", "jobs.tasks.sleep", "--args", "[0.01]", "--count", "8", "--wait").split()) == 8
        with psycopg2.connect(secured.database_url) as session, session.cursor() as cursor:
            cursor.execute(
                """SELECT s.ssl, count(*) FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid)
                    WHERE a.usename = 'jobs' AND a.backend_type = 'client backend' GROUP BY 1"""
            )
            sessions = dict(cursor.fetchall())
        session.close()
    finally:
        worker.terminate()
        worker.wait(40)
    assert set(sessions) == {True}
    assert sessions[True] >= 4, "worker, its lock, the leader, this one"
    assert WORD not in log.read_text()
    assert quote(WORD, safe="") not in log.read_text()


def test_tls_that_the_settings_of_the_broker_ask_for_is_everybody_s(secured: Secured, tmp_path: Path) -> None:
    """The leader and the workers' own clients knew nothing of broker_use_ssl: no job ran."""
    address = secured.redis_url.partition("?")[0]
    for url in (address, address.replace("rediss", "redis")):
        for ssl in ({"ssl_cert_reqs": "none"}, {"ssl_cert_reqs": "required", "ssl_ca_certs": str(secured.authority)}):
            app = Celery("secured", broker=url, set_as_current=False)
            app.conf.broker_use_ssl = ssl
            for reading in (True, False):
                with broker.of(app.conf, reading=reading) as client:
                    until(lambda client=client: _answers(client), timeout=10)
            with app.connection_for_write() as connection:
                assert connection.default_channel.client.ping()
    app.conf.broker_use_ssl = {"ssl_cert_reqs": "required"}
    with broker.of(app.conf) as client:
        assert not _answers(client)


@pytest.mark.django_db(transaction=True)
def test_jobs_run_over_tls_that_the_settings_of_the_broker_ask_for(secured: Secured, tmp_path: Path) -> None:
    of_celery = {"CELERY_BROKER_URL": secured.redis_url.partition("?")[0], "CELERY_BROKER_USE_SSL": {"ssl_cert_reqs": "none"}}
    with running_worker(tmp_path / "log", REDIS_URL=secured.redis_url, **settings_of(**of_celery)):
        assert ended(enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}).id)[0].status == "completed"


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _nobody_else_is_let_in(secured: Secured) -> None:
    word = quote(WORD, safe="")
    with redis.Redis.from_url(secured.redis_url) as client:
        until(lambda: _answers(client), timeout=10)
    for url in (
        secured.redis_url.replace(word, "wrong"), f"redis://:{word}@localhost:{secured.redis_port}/0",
        f"rediss://:{word}@localhost:{secured.redis_port}/0?ssl_cert_reqs=required",
    ):  # fmt: skip
        with redis.Redis.from_url(url, socket_timeout=3) as client:
            assert not _answers(client), url
    for url in (
        secured.database_url.replace(word, "wrong"), secured.database_url.partition("?")[0] + "?sslmode=disable",
        secured.database_url.partition("&")[0],
    ):  # fmt: skip
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(url, connect_timeout=3)
