"""The number of slots that a worker's row tells is the number that its pool has, also where a change was refused."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from celery.concurrency import get_implementation
from celery.concurrency.base import BasePool
from celery.concurrency.gevent import TaskPool
from django.db import connection

from jobs import enqueue_many
from jobs.models import Job, Worker
from jobs.worker.admission import Admission
from jobs.worker.bootsteps import Engine, _pool
from jobs.worker.greenlets import Greenlets
from jobs.worker.registration import Registration
from tests.green_engine import WORKER
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


class Processes:
    """A pool that behaves as billiard's: it ends idle processes one by one, and refuses when none is left; 0 ends one as well."""

    def __init__(self, size: int, busy: int) -> None:
        self.limit = self.num_processes = size
        self.busy = busy

    def grow(self, n: int = 1) -> None:
        self.num_processes += max(n, 0)

    def shrink(self, n: int = 1) -> None:
        for _ in range(max(n, 1)):
            if self.num_processes == self.busy:
                raise ValueError("All processes busy!")
            self.num_processes -= 1


@pytest.fixture
def registration() -> Iterator[Registration]:
    made = Registration(WORKER | {"concurrency": 3})
    yield made
    made.leave()


def steered(registration: Registration, pool: Any, admission: Admission | None) -> Any:
    """A worker with three slots."""

    def write(change: Any) -> None:
        with connection.cursor() as cursor:
            change(cursor)

    engine = SimpleNamespace(registration=registration, write=write, slots=3)
    worker = SimpleNamespace(pool=pool, admission=admission, engine=engine, concurrency=3)
    Engine._steer(None, worker)  # type: ignore[arg-type]
    return worker


def do(pool: Any, verb: str, n: int, refused: str) -> None:
    if refused:
        with pytest.raises(ValueError, match=refused):
            getattr(pool, verb)(n)
    else:
        getattr(pool, verb)(n)


class Derived(TaskPool):
    """As celery-aio-pool's is of the solo pool."""


class Own(BasePool):
    """One that the engine knows nothing of."""


@pytest.mark.parametrize(
    ("pool", "known"),
    [("prefork", "prefork"), ("gevent", "gevent"), ("threads", "thread"), ("solo", "solo"), (Derived, None), (Own, None)],
)
def test_celery_s_own_pools_are_known_and_no_others(pool: Any, known: str | None) -> None:
    assert _pool(SimpleNamespace(pool_cls=get_implementation(pool))) == known


@pytest.mark.parametrize(("consumer", "verifies"), [("jobs.worker.consumer:Consumer", True), ("celery.worker.consumer:Consumer", False)])
def test_a_worker_whose_consumer_verifies_nothing_does_not_start(consumer: str, verifies: bool) -> None:
    worker = SimpleNamespace(pool_cls=get_implementation("solo"), consumer_cls=consumer, app=current_app, steps=[])
    with nullcontext() if verifies else pytest.raises(SystemExit, match="Consumer"):
        Engine(worker)


NEVER = [("shrink", 3, 3, "at least one slot"), *((verb, n, 3, "1 or more") for verb in ("grow", "shrink") for n in (0, -1))]


@pytest.mark.parametrize(("verb", "n", "left", "refused"), [("grow", 2, 5, ""), ("shrink", 1, 2, ""), ("shrink", 2, 2, "busy"), *NEVER])
def test_processes_that_are_busy_stay_and_are_counted(registration: Registration, verb: str, n: int, left: int, refused: str) -> None:
    worker = steered(registration, Processes(3, busy=2), None)
    do(worker.pool, verb, n, refused)
    assert (worker.pool.num_processes, worker.pool.limit, worker.concurrency, Worker.objects.get().concurrency) == (left,) * 4


@pytest.mark.parametrize(("verb", "n", "left", "refused"), [("grow", 2, 5, ""), ("shrink", 2, 1, ""), *NEVER])
def test_under_gevent_admission_and_engine_go_along(registration: Registration, verb: str, n: int, left: int, refused: str) -> None:
    admission, pool = Admission(3), TaskPool(3)
    Greenlets(admission).serve(pool)
    worker = steered(registration, pool, admission)
    do(worker.pool, verb, n, refused)
    assert (admission.size, worker.engine.slots, pool.limit, pool.num_processes, worker.concurrency) == (left,) * 5
    assert Worker.objects.get().concurrency == left


@pytest.mark.slow
def test_a_prefork_worker_that_may_not_give_up_all_says_what_is_left(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", pool="prefork", slots=3):
        enqueue_many("jobs.tasks.sleep", [((10,), {})] * 2)
        until(lambda: Job.objects.filter(status="running").count() == 2)
        [answer] = current_app.control.pool_shrink(2, reply=True, timeout=10)
        assert "busy" in str(answer)
        until(lambda: Worker.objects.get(parent=None).concurrency == 2, timeout=10)
