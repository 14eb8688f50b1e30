"""What worker and leader ask of PostgreSQL while nothing is to be done."""

import time
from pathlib import Path

import pytest
from django.db import connection

from jobs import enqueue
from jobs.models import Job
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
WINDOW_S = 3.0
MOST = 8.0  # transactions a second: four looks, half of one for the index of words, and what measures


def transactions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
        cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def rate() -> float:
    """Transactions a second over a while; sessions tell theirs up to 10 s later, so the first whiles may count those of the start."""
    begun, before = time.monotonic(), transactions()
    time.sleep(WINDOW_S)  # a rate is measured over a time
    return (transactions() - before) / (time.monotonic() - begun)


def test_at_rest_nothing_is_asked_oftener_than_once_a_second(tmp_path: Path) -> None:
    with running_worker(tmp_path / "worker.log"):
        job = enqueue("jobs.tasks.sleep", args=[0])
        until(lambda: Job.objects.get(pk=job.pk).status == "completed", timeout=20)
        until(lambda: 1 <= rate() <= MOST, timeout=30, what="worker and leader come to rest")
        again = enqueue("jobs.tasks.sleep", args=[0])
        until(lambda: Job.objects.get(pk=again.pk).status == "completed", what="a job that ends the rest")
