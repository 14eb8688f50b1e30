"""A system of many queues: what is wrong with all of them does not push the rest of the page out of sight."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.utils import translation

from jobs import enqueue
from jobs.domain.actors import Actor
from jobs.models import Worker
from jobs.models.audit import Verb
from jobs.store import audit
from jobs.store.queues import QueueLine
from jobs.web import health
from jobs.web.labels import ltr

pytestmark = pytest.mark.django_db
TASK = "jobs.tasks.sleep"
QUEUES = [f"queue-{number:02d}" for number in range(12)]
SERVED = ["celery", *QUEUES]


def alerts(client: Client, address: str) -> list[str]:
    """What each says, without the signs that isolate names."""
    page = client.get(address, headers={"HX-Request": "true"}).content.decode()
    found = re.findall(r'<p><strong>(.*?)</strong></p><p class="alert-do">(.*?)</p>', page)
    return [re.sub("[\u2066\u2069]", "", " ".join(one)) for one in found]


@pytest.fixture
def waiting() -> None:
    """A job in each of the queues."""
    for name in QUEUES:
        enqueue(TASK, kwargs={"seconds": 1}, queue=name)


@pytest.mark.parametrize("address", ["/", "/jobs/queues/"])
def test_many_queues_that_nobody_serves_are_one_matter(sara: Client, worker: int, leader: None, waiting: None, address: str) -> None:
    (told,) = alerts(sara, address)
    assert told.startswith("No worker serves 12 queues in which jobs are waiting: queue-00, queue-01, queue-02 … ")
    assert "-Q with a comma-separated list of names" in told
    sara.cookies["django_language"] = "ar"
    (told,) = alerts(sara, address)
    assert "12 قائمة انتظار" in told


def test_few_of_them_are_told_one_by_one(sara: Client, worker: int, leader: None) -> None:
    for name in QUEUES[:3]:
        enqueue(TASK, kwargs={"seconds": 1}, queue=name)
    assert [re.search("queue-0[012]", one) is not None for one in alerts(sara, "/")] == [True] * 3


def test_many_slow_queues_are_one_matter(sara: Client, worker: int, leader: None, waiting: None) -> None:
    Worker.objects.filter(pk=worker).update(queues=SERVED)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET run_at = now() - interval '301 s', created_at = now() - interval '301 s'")
        cursor.execute(
            "UPDATE jobs_job SET run_at = now() - interval '602 s', created_at = now() - interval '602 s' WHERE queue = 'queue-07'"
        )
    (told,) = alerts(sara, "/")
    assert told.startswith("12 queues are slow: in “queue-07” a job has been waiting for 10:0")


def test_many_queues_of_a_drained_worker_are_one_matter(sara: Client, worker: int, leader: None, waiting: None) -> None:
    Worker.objects.filter(pk=worker).update(queues=SERVED)
    with connection.cursor() as cursor:
        audit.steered(cursor, Actor(name="sara"), Verb.DRAIN, "w@host", {"queues": SERVED}, {"queues": []})
    Worker.objects.filter(pk=worker).update(queues=[])
    (told,) = alerts(sara, "/")
    assert told.startswith("The workers of 12 queues are drained, and jobs are waiting in them: queue-00")
    assert told.endswith("To continue, resume it: w@host.")


def test_many_drained_workers_of_a_queue_are_counted_and_named_as_they_are() -> None:
    line = QueueLine(name="mail", waiting=1, later=0, running=0, oldest=1.0, workers=(), rate=0.0, lanes=())
    names = [f"w{number}….x" for number in range(5)]
    with translation.override("en"):
        assert health._drained_alert([line], {"mail": names[:1]}).advice == f"To continue, resume it: {ltr(names[0])}."
        told = health._drained_alert([line], {"mail": names}).advice
        assert told == f"To continue, resume 5 workers: {', '.join(map(ltr, names[:3]))} …"
    with translation.override("ar"):
        assert "أعد 5 عمّال" in health._drained_alert([line], {"mail": names}).advice


def test_the_dashboard_shows_the_busiest_of_many_queues(sara: Client, worker: int, leader: None, waiting: None) -> None:
    enqueue(TASK, kwargs={"seconds": 1}, queue="zoo")
    enqueue(TASK, kwargs={"seconds": 1}, queue="zoo")
    page = sara.get("/").content.decode()
    shown = re.findall(r'id="queue-([^"]+)"', page)
    assert (len(shown), shown[-1]) == (12, "zoo")
    assert shown == sorted(shown)
    assert ">2 more queues</a>" in page
    assert "more queue" not in sara.get("/jobs/queues/").content.decode()
