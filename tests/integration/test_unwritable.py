"""Ends that cannot be written as they are: each job reaches one all the same, and none is run for ever."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chord
from celery.result import allow_join_result
from kombu.exceptions import EncodeError

from jobs import Celery
from jobs.models import DeadLetterQueue, Job
from tests.flows import GET, job_of, s, si, task
from tests.taskapp.flows import OutOfStock
from tests.waiting import until
from tests.workers import running_worker, settings_of

pytestmark = pytest.mark.django_db(transaction=True)
POOLS = ["gevent", pytest.param("prefork", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _tasks() -> Iterator[None]:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    with allow_join_result():
        yield


def ended(*results: Any) -> list[Job]:
    until(lambda: all(job_of(result).finished_at for result in results), timeout=GET, what="every job has ended")
    return [job_of(result) for result in results]


@pytest.mark.parametrize("serializer", ["pickle", "yaml"])
def test_the_backend_writes_json_whatever_the_settings_say(serializer: str) -> None:
    app = Celery("elsewhere", set_as_current=False)
    app.conf.result_serializer = serializer
    assert app.backend.encode_result(OutOfStock("pear", 3), "FAILURE") == {
        "exc_type": "OutOfStock", "exc_message": ("pear", 3), "exc_module": "tests.taskapp.flows",
    }  # fmt: skip


@pytest.mark.parametrize("pool", POOLS)
def test_failures_and_retries_under_a_pickled_result_serializer(tmp_path: Path, pool: str) -> None:
    """They ended without class or message, or were run again for ever."""
    pickled = settings_of(CELERY_RESULT_SERIALIZER="pickle", CELERY_RESULT_ACCEPT_CONTENT=["json", "pickle"])
    with running_worker(tmp_path / "log", pool=pool, **pickled):
        with pytest.raises(OutOfStock) as raised:
            task("raises").delay().get(timeout=GET)
        assert (raised.value.item, raised.value.left) == ("pear", 3)
        with pytest.raises(ConnectionError, match="away"):
            task("backs_off_by_chance").delay().get(timeout=GET)
        with pytest.raises(OutOfStock):
            chord([si("raises"), si("same", 1)])(s("total")).get(timeout=GET)
    assert sorted(DeadLetterQueue.objects.values_list("error_class", flat=True)) == ["ConnectionError", "OutOfStock", "OutOfStock"]


@pytest.mark.parametrize("pool", POOLS)
def test_what_json_cannot_say_is_kept_as_text(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool):
        results = [task("raises_unwritable").delay(how) for how in ("", "retry", "value")]
        chords = [chord([si("raises_unwritable", how), si("same", 1)])(s("total")) for how in ("", "retry", "value")]
        found = ended(*results)
        until(lambda: {result.state for result in chords} == {"FAILURE"}, timeout=GET, what="every chord has heard of it")
        with pytest.raises(EncodeError, match="is not JSON"):
            results[2].get(timeout=GET)
    assert [(job.status, job.attempts) for job in found] == [("failed", 1), ("failed", 2), ("failed", 1)]
    assert {job.last_error.partition(":")[0] for job in found} == {"Unwritable", "EncodeError"}


@pytest.mark.parametrize("pool", POOLS)
def test_a_process_that_cannot_write_json_ends_its_jobs(tmp_path: Path, pool: str) -> None:
    with running_worker(tmp_path / "log", pool=pool, slots=1):
        results = [task("breaks_the_writing").delay(), si("raises").delay(), chord([si("raises"), si("same", 1)])(s("total")).parent[0]]
        found = ended(*results)
    assert [(job.status, job.attempts, job.losses) for job in found] == [("failed", 2, 0), ("failed", 1, 0), ("failed", 1, 0)]
    assert [job.last_error for job in found] == ["ConnectionError: away", *["OutOfStock: ('pear', 3)"] * 2]
