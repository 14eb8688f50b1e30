"""The collector does not look through all that a worker has loaded while its jobs wait."""

from pathlib import Path

import pytest

from jobs import enqueue
from tests.integration.test_engine import ended
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("pool", ["gevent", pytest.param("prefork", marks=pytest.mark.slow)])
def test_what_was_loaded_at_the_start_is_left_alone(tmp_path: Path, pool: str) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with running_worker(tmp_path / "log", pool=pool):
        (job,) = ended(enqueue("t.heap").id)
    frozen, looked_at = job.result
    assert frozen > 5 * looked_at
