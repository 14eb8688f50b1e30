"""The address of Redis leads to another server from now on, and the one before lives on as a replica: it refuses, and closes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs import enqueue
from jobs.dev import redis_server
from jobs.models import Job
from tests.own_redis import OwnRedis
from tests.proxy import Proxy, proxy
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
POOLS = ["gevent", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("prefork", "threads", "solo"))]


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.fixture
def second(data_dir: Path) -> Iterator[OwnRedis]:
    """The server that takes over."""
    (data_dir / "second").mkdir()
    server = OwnRedis(data_dir / "second" / "redis")
    yield server
    redis_server.stop(server.folder)


@contextmanager
def address(first: OwnRedis) -> Iterator[tuple[Proxy, str]]:
    """That leads to the first server for now."""
    with proxy(str(first.socket)) as way:
        yield way, f"redis://127.0.0.1:{way.port}/0"


def fail_over(way: Proxy, first: OwnRedis, second: OwnRedis) -> None:
    """New connections reach the second; those that are open stay with the first."""
    way.target = str(second.socket)
    with first.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")


def completes(job: int) -> None:
    until(lambda: Job.objects.get(pk=job).status == "completed", timeout=60)


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_go_on_over_the_server_that_took_over(pool: str, tmp_path: Path, own_redis: OwnRedis, second: OwnRedis) -> None:
    with address(own_redis) as (way, url), running_worker(tmp_path / "log", pool=pool, REDIS_URL=url) as worker:
        completes(enqueue("t.add", args=[1, 2]).id)
        fail_over(way, own_redis, second)
        completes(enqueue("t.add", args=[1, 2]).id)
        completes(enqueue("t.add", args=[1, 2]).id)
        assert worker.poll() is None
