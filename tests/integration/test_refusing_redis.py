"""A Redis that answers and takes no messages: it is noted as an outage, with what it says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.utils import translation

from jobs import enqueue, enqueue_many
from jobs.store import readiness, stats
from tests.integration.test_faults_redis import complete_once, now
from tests.own_redis import OwnRedis
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@contextmanager
def full(client: Any, _: Path) -> Iterator[None]:
    client.config_set("maxmemory", 1)
    yield
    client.config_set("maxmemory", 0)


@contextmanager
def alone(client: Any, _: Path) -> Iterator[None]:
    client.config_set("min-replicas-to-write", 1)
    yield
    client.config_set("min-replicas-to-write", 0)


@contextmanager
def without_snapshots(client: Any, folder: Path) -> Iterator[None]:
    """As where the disk is full: then even a PING is refused."""
    client.config_set("save", "3600 1000000")
    (folder / "dump.rdb" / "in the way").mkdir(parents=True)
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", what="the snapshot has failed")
    yield
    client.config_set("save", "")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (full, "command not allowed when used memory > 'maxmemory'."),
        pytest.param(alone, "Not enough good replicas", marks=pytest.mark.slow),
        pytest.param(without_snapshots, "MISCONF", marks=pytest.mark.slow),
    ],
    ids=["full", "without replicas", "without snapshots"],
)
def test_a_redis_that_takes_no_messages_is_told_of_on_every_page(
    tmp_path: Path, own_redis: OwnRedis, broken: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers: all seemed to be well."""
    monkeypatch.setattr(current_app.conf, "broker_url", own_redis.broker_url)
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url), own_redis.client() as client:
        until(lambda: readiness.reasons() == [], what="a leader lives")
        with broken(client, own_redis.folder):
            id = enqueue("t.add", args=[1, 2]).id
            refusal = until(lambda: stats.leader_and_refusal()[1], what="the leader notes it")
            assert says in refusal.reason
            with translation.override("en"):
                assert readiness.reasons() == [f"Redis is not accepting messages: {refusal.reason}"]
            assert abs((now() - refusal.since).total_seconds()) < 30
        complete_once([id])
        until(lambda: readiness.reasons() == [], what="it is noted that Redis takes them again")


def test_long_messages_go_through_a_redis_that_has_no_room_for_all_of_them(tmp_path: Path, own_redis: OwnRedis) -> None:
    """A request counts to its memory: the window in one was refused for ever, while the lanes were empty."""
    ids = enqueue_many("t.collect", [((1,), {"text": "x" * 100_000})] * 60)
    with own_redis.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 3_000_000)
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url):
        complete_once(ids)
