"""A data folder and an environment of one's own, for commands that start servers."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from jobs.dev import embedded, processes, redis_server
from tests import standing
from tests.own_redis import OwnRedis
from tests.standing import Standing
from tests.waiting import until


@pytest.fixture(autouse=True)
def no_event_loop() -> Iterator[None]:
    """Playwright leaves a running one in the thread of every test after its own; these are to find what a plain program finds."""
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder whose name has a space and Arabic letters; whatever runs on it is ended afterwards."""
    base = Path(tempfile.mkdtemp(prefix="jobs-test-"))
    base.chmod(0o711)
    folder = base / "مجلد البيانات"
    folder.mkdir()
    yield folder
    processes.end_family(processes.recorded(folder)[1], patience=0)
    embedded.stop(folder)
    shutil.rmtree(base)


@pytest.fixture
def own_environ(data_dir: Path) -> dict[str, str]:
    """The environment of a newcomer: no servers named, a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG")}
    return {**environ, "DATA_DIR": str(data_dir), "PORT": str(port)}


@pytest.fixture
def own_redis(data_dir: Path) -> Iterator[OwnRedis]:
    """A Redis that the test may break."""
    server = OwnRedis(data_dir / "redis")
    yield server
    redis_server.stop(server.folder)


@pytest.fixture(scope="module")
def worker_of_module(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standing]:
    worker = Standing(tmp_path_factory.mktemp("worker") / "log", django_db_blocker, *request.param)
    yield worker
    worker.end()


@pytest.fixture
def standing_worker(worker_of_module: Standing, transactional_db: None) -> Iterator[str]:
    """A worker that goes on through tests of a module, and what they leave behind in it; its pool. Jobs for later are dropped."""
    from jobs.models import Aftermath, Job  # when this file is read Django may not be set up

    worker_of_module.begin()
    yield worker_of_module.pool
    soon = Job.objects.filter(finished_at=None, run_at__lt=timezone.now() + timedelta(minutes=1))
    until(lambda: not soon.exists() and not Aftermath.objects.exists(), timeout=60)


@pytest.fixture
def standing_log(worker_of_module: Standing) -> Path:
    """What that worker has written, in this test and in those before it."""
    return worker_of_module.log


@pytest.fixture(autouse=True)
def _none_stands(request: pytest.FixtureRequest) -> None:
    """A test without the standing worker starts its own, or wants none."""
    if "worker_of_module" not in request.fixturenames:
        standing.end_all()
