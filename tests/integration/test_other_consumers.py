"""A ConsumerStep of a project's own hears its messages, also after Redis was away, lost all it had, or cut the connections."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kombu
import pytest

from jobs.conf import configuration
from jobs.models import Job
from tests.flows import task
from tests.own_redis import OwnRedis
from tests.taskapp.orders import ORDERS
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def send(own_redis: OwnRedis, *orders: Any) -> None:
    """As another program does it."""
    options = {"global_keyprefix": configuration().key_prefix}
    with kombu.Connection(own_redis.broker_url, transport_options=options) as outside, outside.Producer() as producer:
        for order in orders:
            producer.publish({"order": order}, exchange=ORDERS.exchange, routing_key="orders", serializer="json", declare=[ORDERS])


def taken(*orders: Any) -> bool:
    return Job.objects.filter(task_id__in=[f"order {order}" for order in orders], status="completed").count() == len(orders)


def cut(own_redis: OwnRedis) -> None:
    own_redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def restart(own_redis: OwnRedis, away: float) -> None:
    own_redis.kill()
    time.sleep(away)  # how long it is away, not a wait for something
    own_redis.start()


FAULTS: dict[str, Callable[[OwnRedis], None]] = {
    "cut": cut,
    "restarted empty": lambda own_redis: restart(own_redis, 0.2),
    "away for some seconds": lambda own_redis: restart(own_redis, 4.0),
    "emptied": lambda own_redis: own_redis.client().flushall(),
}


@pytest.mark.parametrize("pool", ["gevent", pytest.param("threads", marks=pytest.mark.slow)])
def test_consumers_of_a_project_go_on_after_redis_was_away(pool: str, tmp_path: Path, own_redis: OwnRedis) -> None:
    with running_worker(tmp_path / "log", pool=pool, REDIS_URL=own_redis.url, WITH_ORDERS="1") as worker:
        send(own_redis, "first", *(["bad"] if pool == "gevent" else []), "second")  # elsewhere Celery's own loop ends with the error
        until(lambda: taken("first", "second"), timeout=30)
        for name, fault in FAULTS.items():
            fault(own_redis)
            send(own_redis, f"{name} 1", f"{name} 2")
            until(lambda name=name: taken(f"{name} 1", f"{name} 2"), timeout=30, what=name)  # type: ignore[misc]
            result = task("same").delay(name)
            until(lambda result=result: Job.objects.get(task_id=result.id).status == "completed", timeout=30, what=name)  # type: ignore[misc]
        assert worker.poll() is None
        clients = own_redis.client().client_list()
        assert len(clients) < 40, "none is left behind by a fault"
    assert set(Job.objects.values_list("runs", flat=True)) == {1}
