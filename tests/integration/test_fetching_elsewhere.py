"""Workers of other pools than gevent take a message only while a slot is free."""

from pathlib import Path
from typing import Any

import pytest
from django.db.models import Max, Min

from jobs import enqueue, enqueue_many
from jobs.models import Job
from tests.integration.test_engine import at_once, ended
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
POOLS = [
    pytest.param("prefork", [], id="prefork"),
    pytest.param("threads", [], id="threads", marks=pytest.mark.slow),
    pytest.param("threads", ["-I", "tests.taskapp.no_hub"], id="threads without an event loop"),
    pytest.param("solo", [], id="solo", marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def _tasks(settings: Any) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def overtaken(low: list[int], high: Job) -> int:
    """How many of lower priority began although it waited."""
    return Job.objects.filter(id__in=low, started_at__gt=high.created_at, started_at__lt=high.started_at).count()


@pytest.mark.parametrize(("pool", "options"), POOLS)
def test_no_more_is_fetched_than_there_are_free_slots(tmp_path: Path, pool: str, options: list[str]) -> None:
    """So that a higher priority is next, whatever waits; and a slot that gets free is filled again at once."""
    slots = 1 if pool == "solo" else 4
    with running_worker(tmp_path / "log", *options, pool=pool, slots=slots):
        low = enqueue_many("t.nap", [((0.05,), {})] * 40 * slots, priorities=[1] * 40 * slots)
        until(lambda: Job.objects.filter(id__in=low, status="completed").count() > 3 * slots, timeout=20)
        (high,) = ended(enqueue("t.add", args=[1, 2], priority=9).id)
        assert overtaken(low, high) <= 2 * slots
        jobs = ended(*low)
        assert at_once([*jobs, high]) == slots
    span = Job.objects.filter(id__in=low).aggregate(first=Min("started_at"), last=Max("finished_at"))
    assert (span["last"] - span["first"]).total_seconds() < 15  # 2 of naps; 40 if each had to wait for the loop's next look of its own


def test_who_asks_for_it_has_more_fetched(tmp_path: Path) -> None:
    with running_worker(tmp_path / "log", "--prefetch-multiplier=3", pool="prefork", slots=2):
        low = enqueue_many("t.nap", [((0.1,), {})] * 60, priorities=[1] * 60)
        until(lambda: Job.objects.filter(id__in=low, status="completed").count() > 6, timeout=20)
        (high,) = ended(enqueue("t.add", args=[1, 2], priority=9).id)
        assert 2 < overtaken(low, high) <= 10
    assert "up to 4 more are fetched and keep their place before a higher priority" in (tmp_path / "log").read_text()
