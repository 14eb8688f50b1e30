"""What docker-compose.yml runs: the exact command of each service, with its environment, beside real servers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from jobs.dev import embedded, redis_server
from tests.integration.test_lost_servers import asker
from tests.mail_server import free_port
from tests.waiting import until
from tests.workers import ROOT

SCRIPTS = sysconfig.get_path("scripts")


def services() -> dict[str, Any]:
    """The services as compose reads them without an .env file."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text("utf-8"))
    return dict(yaml.safe_load(text)["services"])


def environment(service: dict[str, Any], base: dict[str, str], data_dir: Path) -> dict[str, str]:
    """The service's own, but the servers' addresses and the folders of the container are ours."""
    ours = {"SECRET_KEY_FILE": str(data_dir / "keys" / "secret-key.txt"), "DATA_DIR": str(data_dir), "ENV_FILE": ""}
    named = {name: base.get(name) or ours.get(name) or value for name, value in service["environment"].items()}
    return {**base, **named, **ours, "PATH": f"{SCRIPTS}{os.pathsep}{base['PATH']}"}


@contextmanager
def running(command: list[str], environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, log.read_text()[-3000:]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def seconds(text: str) -> int:
    return int(re.fullmatch(r"(\d+)s", text)[1])  # type: ignore[index]


@pytest.mark.slow
def test_every_service_runs_its_command(own_environ: dict[str, str], data_dir: Path, tmp_path: Path) -> None:
    """migrate ends, web answers its own health check, worker runs a job and ends within its grace period."""
    base, found = own_environ | embedded.start(data_dir), services()
    assert {"migrate", "web", "worker"} == {name for name, service in found.items() if "build" in service}
    (data_dir / "keys").mkdir()

    migrate = found["migrate"]
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]  # a step of the Dockerfile
    for command in (collect, migrate["command"]):
        done = subprocess.run(
            command, cwd=ROOT, env=environment(migrate, base, data_dir), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr

    port = free_port()
    web = [word.replace(":8000", f":{port}") for word in found["web"]["command"]]
    check = [word.replace(":8000", f":{port}") for word in found["web"]["healthcheck"]["test"]]
    assert check[0] == "CMD"
    worker = found["worker"]
    with (
        running(web, environment(found["web"], base, data_dir), tmp_path / "web"),
        running(worker["command"], environment(worker, base, data_dir) | {"JOBS_SHUTDOWN_GRACE": "1"}, tmp_path / "worker"),
    ):
        environ = environment(found["web"], base, data_dir)
        until(lambda: subprocess.run(check[1:], env=environ, capture_output=True, check=False).returncode == 0, timeout=40, every=0.3)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/accounts/login/", timeout=10) as response:
            styles = re.findall(r'href="(/static/[^"]+\.css)"', response.read().decode())
        assert styles, "DEBUG is off: whitenoise serves hashed files"
        for path in styles:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                assert response.status == 200
        ask = asker(base["DATABASE_URL"])
        ask("INSERT INTO jobs_job (task, args) VALUES ('jobs.tasks.sleep', '[0.1]')")
        until(lambda: ask("SELECT status FROM jobs_job") == "completed", timeout=40)
        assert ask("SELECT concurrency FROM jobs_worker") == 4
    assert seconds(worker["stop_grace_period"]) > 25 + 10, "JOBS_SHUTDOWN_GRACE and what comes after it"


def test_redis_keeps_its_data_with_the_service_s_command(tmp_path: Path) -> None:
    """On a socket of its own instead of the port; killed, and started again."""
    program, *options = services()["redis"]["command"]
    assert program == "redis-server"
    place = Path(tempfile.mkdtemp(prefix="jobs-redis-"))  # the path of a socket must be short
    command = [str(redis_server.program()), *options, "--port", "0", "--dir", str(place), "--unixsocket", str(place / "s")]
    try:
        for kept in (0, 3):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with redis.Redis(unix_socket_path=str(place / "s")) as client:
                until(lambda client=client: _answers(client), timeout=20)  # type: ignore[misc]
                assert client.llen("kept") == kept
                client.rpush("kept", 1, 2, 3)
                until(lambda client=client: client.info("persistence")["aof_pending_bio_fsync"] == 0, timeout=10)  # type: ignore[misc]
            process.kill()
            process.wait(10)
    finally:
        shutil.rmtree(place)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
