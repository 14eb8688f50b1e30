"""A Redis that answers and takes no messages: it is noted as an outage, with what it says."""

from pathlib import Path

import pytest
from django.utils import translation

from jobs import enqueue, enqueue_many
from jobs.store import stats
from tests.integration.test_faults_redis import complete_once, now
from tests.own_redis import OwnRedis
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


@pytest.mark.parametrize(
    ("setting", "says"),
    [({"maxmemory": 1}, "command not allowed when used memory > 'maxmemory'."), ({"min-replicas-to-write": 1}, "Not enough good replicas")],
    ids=["full", "without replicas"],
)
def test_a_redis_that_takes_no_messages_is_told_of_on_every_page(
    tmp_path: Path, own_redis: OwnRedis, setting: dict[str, int], says: str
) -> None:
    """It answers: all seemed to be well."""
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url), own_redis.client() as client:
        until(lambda: stats.readiness() == [], what="a leader lives")
        for name, value in setting.items():
            client.config_set(name, value)
        id = enqueue("t.add", args=[1, 2]).id
        refusal = until(lambda: stats.leader_and_refusal()[1], what="the leader notes it")
        assert says in refusal.reason
        with translation.override("en"):
            assert stats.readiness() == [f"Redis takes no messages: {refusal.reason}"]
        assert abs((now() - refusal.since).total_seconds()) < 30
        for name in setting:
            client.config_set(name, 0)
        complete_once([id])
        until(lambda: stats.readiness() == [], what="it is noted that Redis takes them again")


def test_long_messages_go_through_a_redis_that_has_no_room_for_all_of_them(tmp_path: Path, own_redis: OwnRedis) -> None:
    """A request counts to its memory: the window in one was refused for ever, while the lanes were empty."""
    ids = enqueue_many("t.collect", [((1,), {"text": "x" * 100_000})] * 60)
    with own_redis.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 3_000_000)
    with running_worker(tmp_path / "log", REDIS_URL=own_redis.url):
        complete_once(ids)
