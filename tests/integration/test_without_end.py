"""Runs that are left without an end, whatever raised on the way: each job reaches one all the same."""

from pathlib import Path

import pytest

from jobs.models import DeadLetterQueue
from jobs.store import unwritable
from tests.flows import GET, job_of, task
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
POOLS = ["threads", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("gevent", "prefork", "solo"))]


@pytest.mark.parametrize("pool", POOLS)
def test_a_run_that_is_left_without_an_end_is_a_loss_and_the_last_one_is_its_end(tmp_path: Path, pool: str) -> None:
    """Whatever raised on the way: outside gevent it was shown as running for ever."""
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with running_worker(tmp_path / "log", pool=pool, slots=1):
        sent = task("loses_its_end").delay()
        until(lambda: job_of(sent).finished_at, timeout=GET, what="the job has ended")
    assert (job_of(sent).status, job_of(sent).runs, job_of(sent).losses) == ("failed", 3, 3)
    assert DeadLetterQueue.objects.get().error_class == unwritable.WITHOUT.error_class
