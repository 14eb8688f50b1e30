"""A user of Redis with no more rights than a worker needs, and one with less."""

from pathlib import Path

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


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def address(own_redis: OwnRedis, *rules: str) -> str:
    """For a user with these rights."""
    with own_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "shop", "reset", "on", ">secret", *rules)
    return own_redis.url.replace("unix://", "unix://shop:secret@", 1)


def answers(own_redis: OwnRedis) -> bool:
    """Whether a worker answers a ping."""
    app = Celery("outside", broker=own_redis.broker_url, set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "jobs:"}
    try:
        return bool(app.control.ping(timeout=0.5))
    finally:
        app.close()


def test_the_rights_that_are_documented_are_enough(tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", "-E", REDIS_URL=address(own_redis, *RIGHTS, REMOTE)):
        id = enqueue("t.add", args=[1, 2]).id
        until(lambda: Job.objects.get(id=id).status == "completed")
        until(lambda: answers(own_redis), what="remote control listens")
    with own_redis.client() as client:
        assert client.execute_command("ACL", "LOG") == []


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
