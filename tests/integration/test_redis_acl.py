"""A user of Redis with no more rights than a worker needs, and one with less."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from jobs import enqueue
from jobs.models import Job
from tests.own_redis import OwnRedis
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
# As docs/adopting.md has them.
RIGHTS = ("~jobs:*", "&jobs:*", "+@all", "-@admin", "-@dangerous")
REMOTE = "&jobs:/0.celery.pidbox"
GOSSIP = "&jobs:/0.celeryev/worker.*"
EVENTS = "&jobs:/0.celeryev/*"
POOLS = ["gevent", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("prefork", "threads", "solo"))]


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def address(own_redis: OwnRedis, *rules: str) -> str:
    """For a user with these rights."""
    with own_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "shop", "reset", "on", ">secret", *rules)
    return own_redis.url.replace("unix://", "unix://shop:secret@", 1)


@contextmanager
def outside(broker_url: str) -> Iterator[Celery]:
    """An app of a program that is no worker."""
    app = Celery("outside", broker=broker_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "jobs:"}
    try:
        yield app
    finally:
        app.close()


def answers(own_redis: OwnRedis) -> bool:
    """Whether a worker answers a ping."""
    with outside(own_redis.broker_url) as app:
        return bool(app.control.ping(timeout=0.5))


def receive(connection: Any) -> None:
    """What comes within a second."""
    with suppress(TimeoutError):
        connection.drain_events(timeout=1)


def hear_a_heartbeat(own_redis: OwnRedis) -> None:
    """As that user, in the way of `celery events` and Flower."""
    heard: list[Any] = []
    with outside(own_redis.broker_url.replace("://", "://shop:secret@", 1)) as app, app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"worker-heartbeat": heard.append})
        with receiver.consumer_context() as (its_own, *_):
            until(lambda: heard or receive(its_own), what="a worker's heartbeat")


@pytest.mark.parametrize("pool", POOLS)
def test_the_rights_that_are_documented_are_enough(tmp_path: Path, own_redis: OwnRedis, pool: str) -> None:
    with running_worker(tmp_path / "log", "-E", pool=pool, REDIS_URL=address(own_redis, *RIGHTS, REMOTE, GOSSIP, EVENTS)):
        id = enqueue("t.add", args=[1, 2]).id
        until(lambda: Job.objects.get(id=id).status == "completed")
        until(lambda: answers(own_redis), what="remote control listens")
        hear_a_heartbeat(own_redis)
    with own_redis.client() as client:
        assert client.execute_command("ACL", "LOG") == []


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_without_those_of_gossip_and_remote_control_jobs_run_all_the_same(tmp_path: Path, own_redis: OwnRedis, pool: str) -> None:
    log = tmp_path / "log"
    with running_worker(log, pool=pool, REDIS_URL=address(own_redis, *RIGHTS)):
        for _ in range(3):
            id = enqueue("t.add", args=[1, 2]).id
            until(lambda id=id: Job.objects.get(id=id).status == "completed")
        until(lambda: all(f"its Redis user needs {channel}" in log.read_text() for channel in (GOSSIP, REMOTE)))
    assert log.read_text().count("its Redis user needs") == 2
    assert "Traceback" not in log.read_text()
    assert "Connection to broker lost" not in log.read_text()


def test_without_the_channel_of_remote_control_it_says_what_to_grant_and_goes_on(tmp_path: Path, own_redis: OwnRedis) -> None:
    log = tmp_path / "log"
    with running_worker(log, REDIS_URL=address(own_redis, *RIGHTS)):
        id = enqueue("t.add", args=[1, 2]).id
        until(lambda: Job.objects.get(id=id).status == "completed")
        until(lambda: f"its Redis user needs {REMOTE}" in log.read_text())
        address(own_redis, *RIGHTS, REMOTE)
        until(lambda: answers(own_redis), what="it listens once it may")
    assert log.read_text().count("remote control does not listen") == 1
    assert "Traceback" not in log.read_text()
