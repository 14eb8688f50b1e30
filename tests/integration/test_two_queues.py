"""A worker of several queues: priorities are strict over all of them, and of one priority the oldest is next, in whatever queue it lies."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import transaction

from jobs import enqueue
from jobs.celery_app.messages import Row
from jobs.leader import publish
from jobs.models import Job
from jobs.store import broker
from jobs.verification import rules
from jobs.verification.priority import own_runs
from jobs.worker.oldest import Lanes
from jobs.worker.popper import Popper
from tests.integration.test_engine import ended
from tests.workers import running_worker, settings_of

pytestmark = pytest.mark.django_db(transaction=True)
ELSEWHERE = [pytest.param(pool, marks=pytest.mark.slow) for pool in ("prefork", "threads", "solo")]


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def mixed() -> list[int]:
    """Jobs of one transaction: many of one queue, a few of the other among them, one of which has a higher priority."""
    queues = [*["celery"] * 60, "mail", "mail", "mail", *["celery"] * 60, "mail"]
    with transaction.atomic():
        ids = [enqueue("t.nap", args=[0.01], queue=queue, priority=5).id for queue in queues]
        return [*ids, enqueue("t.nap", args=[0.01], queue="mail", priority=9).id]


def places(ids: list[int]) -> list[int]:
    """When those of the other queue began, among all."""
    order = Job.objects.filter(id__in=ids).order_by("started_at", "id").values_list("queue", flat=True)
    return [place for place, queue in enumerate(order) if queue == "mail"]


def test_of_one_priority_the_oldest_of_all_queues_is_next(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", "-Q", "celery,mail", slots=2):
        ids = mixed()
        ended(*ids)
    assert rules.inversions(own_runs(ids)) == []


@pytest.mark.parametrize("pool", ["gevent", *ELSEWHERE])
def test_a_project_may_have_them_take_turns(tmp_path: Path, pool: str) -> None:
    """As they do under other pools anyway."""
    own = settings_of(CELERY_BROKER_TRANSPORT_OPTIONS={"queue_order_strategy": "round_robin"}) if pool == "gevent" else {}
    with running_worker(tmp_path / "log", "-Q", "celery,mail", pool=pool, slots=2, **own):
        ids = mixed()
        ended(*ids)
    found = places(ids)
    assert found[0] <= 4
    assert found[-1] < 60


@pytest.fixture
def popper() -> Iterator[Popper]:
    client = broker.client(settings.CELERY_BROKER_URL)
    client.flushdb()
    made = Popper(client, SimpleNamespace(open=False, end=lambda: None))
    yield made
    client.flushdb()
    made.close()


def lies(popper: Popper, queue: str, lane: int, *places: tuple[float, int]) -> None:
    """Messages of jobs with these times and numbers, the first of them next."""
    rows = [Row(id, "a", "b", "[]", "{}", 0, 0, 3, None, True, None, 9 - lane, due) for due, id in places]
    popper.client.lpush(publish.key((queue, lane)), *(publish.message(row, (queue, lane)) for row in rows))


def taken(popper: Popper, most: int, times: int) -> list[list[str]]:
    """The queues that each look of a worker of both takes messages from."""
    lanes = Lanes("jobs:", None)
    lanes.serve(["celery", "mail"])
    found = [lanes.pop(popper, most) for _ in range(times)]
    assert lanes.is_by_age
    return [[key.removeprefix("jobs:").partition("\x06")[0] for key, messages in look for _ in messages] for look in found]


def test_a_look_takes_the_oldest_of_all_lists_of_the_highest_lane(popper: Popper) -> None:
    lies(popper, "celery", 4, (20.5, 2), (20.5, 4), (1e9, 5))
    lies(popper, "mail", 4, (20.25, 9), (20.5, 3), (20.5, 6))
    lies(popper, "mail", 3, (2e9, 8))
    assert taken(popper, 4, 3) == [["mail"], ["mail", "celery", "mail", "celery"], ["mail", "celery"]]


def test_what_has_no_place_goes_first(popper: Popper) -> None:
    """Another program's, or one that an older version has left."""
    lies(popper, "celery", 4, (1.5, 1))
    popper.client.lpush("jobs:mail\x06\x164", "{}")
    assert taken(popper, 4, 1) == [["mail", "celery"]]


def test_a_key_of_another_kind_holds_up_no_other(popper: Popper, caplog: pytest.LogCaptureFixture) -> None:
    popper.client.set("jobs:celery", "mine")
    lies(popper, "mail", 4, (1.5, 1))
    assert taken(popper, 4, 2) == [["mail"], []]
    assert "jobs:celery" in caplog.text
