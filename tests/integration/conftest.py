"""A data folder and an environment of one's own, for commands that start servers."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from jobs.dev import embedded, processes, redis_server
from tests import emptying
from tests.own_redis import OwnRedis
from tests.waiting import until
from tests.workers import running_worker


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
) -> Iterator[str]:
    log = tmp_path_factory.mktemp("worker") / "log"
    with django_db_blocker.unblock(), emptying.keeping("jobs_worker", "jobs_outage"), running_worker(log, pool=request.param):
        yield request.param


@pytest.fixture
def standing_worker(worker_of_module: str, transactional_db: None) -> Iterator[str]:
    """A worker that goes on through all tests of a module, and what they leave behind in it; its pool."""
    from jobs.models import Aftermath, Job  # when this file is read Django may not be set up

    yield worker_of_module
    until(lambda: not Job.objects.filter(finished_at=None).exists() and not Aftermath.objects.exists(), timeout=60)
