"""A worker that was drained takes no job: its slots are closed, and what its queue needs is that it goes on."""

import html
import re
import shlex
from contextlib import closing
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from jobs import enqueue
from jobs.domain.actors import Actor
from jobs.models import Job, Worker
from jobs.models.audit import Verb
from jobs.store import audit
from jobs.store.engine import connect
from jobs.store.locks import WORKER_CLASS
from tests.rows import job_in

pytestmark = pytest.mark.django_db


def drain(worker: int) -> None:
    row = Worker.objects.get(pk=worker)
    with connection.cursor() as cursor:
        audit.steered(cursor, Actor(name="sara"), Verb.DRAIN, row.name, {"queues": row.queues}, {"queues": []})
    Worker.objects.filter(pk=worker).update(queues=[])


def alerts(client: Client, address: str) -> list[tuple[str, ...]]:
    """Each fact with its remedy and where that is."""
    text = html.unescape(client.get(address).content.decode())
    return re.findall(r'<p><strong>(.*?)</strong></p><p class="alert-do">(.*?)</p></div>(?:<div class="acts"><a [^>]*href="(.*?)")?', text)


def test_the_slots_of_a_drained_worker_are_closed(sara: Client, worker: int, leader: None) -> None:
    drain(worker)
    for address in ("/", "/jobs/workers/", f"/jobs/workers/{worker}/"):
        text = sara.get(address).content.decode()
        slots = text[text.index('id="slots"') :]
        assert (slots.count(">Closed</li>"), slots.count(">Free</li>")) == (4, 0)
        assert "0 of 0 slots busy" in slots
        assert re.search("drained</span></span></div>\\s*<ol", slots)
    assert "of 0 slots" in sara.get("/").content.decode()


def test_whoever_shuts_it_down_reads_how_long_jobs_have(sara: Client, worker: int, settings: Any) -> None:
    settings.JOBS_SHUTDOWN_GRACE = 70.0
    text = sara.get(f"/jobs/workers/{worker}/shutdown/").content.decode()
    assert "Jobs that have not ended after 1 min and 10 s are released" in text


def test_what_still_runs_in_it_keeps_its_slot(sara: Client, worker: int, leader: None) -> None:
    job = job_in("running")
    Job.objects.filter(pk=job.pk).update(worker=worker)
    drain(worker)
    text = sara.get("/jobs/workers/").content.decode()
    assert (text.count(">Closed</li>"), text.count(f'id="slot-{job.pk}"')) == (3, 1)
    assert "1 of 1 slot busy" in text


def test_a_queue_whose_workers_are_drained_says_so(sara: Client, worker: int, leader: None) -> None:
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    drain(worker)
    for address in ("/", "/jobs/queues/"):
        [(fact, remedy, place)] = alerts(sara, address)
        assert fact == "The worker of the queue “\u2066celery\u2069” is drained, and jobs are waiting in it."
        assert (remedy, place) == ("To continue, resume it: \u2066w@host\u2069.", "/jobs/workers/")


def test_a_queue_that_it_did_not_serve_needs_another_worker(sara: Client, worker: int, leader: None) -> None:
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, queue="قائمة عربية")
    drain(worker)
    [(fact, remedy, _)] = alerts(sara, "/")
    assert "No worker serves the queue" in fact
    option = re.search("\u2066(.*)\u2069", remedy)
    assert option
    assert shlex.split(option[1]) == ["-Q", "قائمة عربية"]


@pytest.mark.parametrize("address", ["/", "/jobs/workers/"])
def test_workers_of_one_name_are_told_of(sara: Client, worker: int, leader: None, address: str) -> None:
    """What is asked of one is done by both."""
    with closing(connect("stage")) as life:
        row = Worker.objects.get(pk=worker)
        row.pk = None
        super(Worker, row).save()
        with life.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [WORKER_CLASS, row.pk])
        ((fact, remedy, _link),) = alerts(sara, address)
        assert "2 workers share the name “w@host”" in fact.replace("\u2066", "").replace("\u2069", "")
        assert "-n mail@%h" in remedy
        Worker.objects.filter(pk=row.pk).update(name="x@host")
        cache.clear()
        assert alerts(sara, address) == []
