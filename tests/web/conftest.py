"""Pages keep some readings for a second: each test begins without those of the one before."""

from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.test import Client


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.store import broker, clock, refused  # not before the settings name the servers

    cache.clear()
    broker.kept(refused.TIMEOUT_S).delete(refused._key(True), refused._key(False))  # a worker of another test may have told it
    monkeypatch.setattr(clock, "_skew", clock._Skew(asked=float("inf")))  # no query more now and then


@pytest.fixture
def own_files(db: None) -> None:
    """Rows of earlier tests, rolled back and vacuumed, leave indexes that are long for few rows: PostgreSQL then plans something else."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job CASCADE")


@pytest.fixture
def sara(client: Client) -> Client:
    """A browser of somebody who may do all, in English."""
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture
def worker() -> Iterator[int]:
    """One that lives, with four slots; its number."""
    from jobs.models import Worker  # not before the settings name the servers
    from jobs.store.engine import connect
    from jobs.store.locks import WORKER_CLASS

    row = Worker.objects.create(
        name="w@host", hostname="host", pid=1, pool="gevent", concurrency=4, queues=["celery"], tasks=["jobs.tasks.sleep"], versions={}
    )
    life = connect("stage")
    with life.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [WORKER_CLASS, row.id])
    yield row.id
    life.close()


@pytest.fixture
def leader() -> Iterator[None]:
    """One that lives."""
    from jobs.store.engine import connect
    from jobs.store.locks import LEADER

    life = connect("leads")
    with life.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", LEADER)
    yield
    life.close()
