"""Numbers of jobs that an INSERT brought itself: far above those that PostgreSQL gives, or below all of them."""

import csv
import doctest
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from jobs import enqueue, masking
from jobs.domain import numbers
from jobs.domain.numbers import HIGHEST, LOWEST
from jobs.leader.indexing import Indexer
from jobs.leader.load import Load
from jobs.models import Audit, Job
from jobs.store import found, search
from tests.rows import index_everything, job_in

pytestmark = pytest.mark.django_db
ODD = (LOWEST, -5, 0, 10**17, 10**18, HIGHEST)


def insert(number: int, **columns: Any) -> int:
    """As a program would that thinks up its numbers itself."""
    given = {"id": number, "task": "jobs.tasks.sleep", "name": "thought up", "kwargs": '{"seconds": 1}', **columns}
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO jobs_job ({', '.join(given)}) VALUES ({', '.join(['%s'] * len(given))})", list(given.values()))
    return number


def listed(client: Client, **filters: str) -> list[int]:
    return [job.pk for job in client.get("/jobs/", filters).context["page"].rows]


def test_what_a_number_is() -> None:
    assert doctest.testmod(numbers).attempted > 0
    assert doctest.testmod(numbers).failed == 0


@pytest.mark.parametrize("number", ODD)
def test_every_page_shows_such_a_job(sara: Client, number: int) -> None:
    job = job_in("failed", name="given")
    insert(number, options='{"headers": {"group": "g"}}')
    assert set(listed(sara)) == {job.pk, number}
    pages = ["/", f"/jobs/{number}/", "/jobs/dead-letters/", "/admin/jobs/job/", f"/admin/jobs/job/{number}/change/", f"/jobs/{job.pk}/"]
    pages += [f"/jobs/create/?from={number}", f"/jobs/?before={number}", f"/jobs/?after={number}", f"/jobs/audit/?job={number}"]
    assert {sara.get(page).status_code for page in pages} == {200}
    assert sara.get(f"/jobs/find/?q={number}").headers["Location"] == f"/jobs/{number}/"
    rows = csv.DictReader(sara.get("/jobs/export/?format=csv").getvalue().decode("utf-8-sig").splitlines())
    assert str(number) in {next(iter(row.values())) for row in rows}
    assert sara.post(f"/jobs/{number}/priority/", {"priority": "9"}).headers["Location"] == f"/jobs/{number}/"
    chosen = sara.post("/jobs/bulk/", {"verb": "cancel", "job": str(number)}).headers["Location"]
    assert sara.post(f"{chosen}confirm/").status_code == 302
    assert (Job.objects.get(pk=number).priority, Job.objects.get(pk=number).status) == (9, "cancelled")
    assert sara.post(f"/admin/jobs/job/{number}/delete/", {"post": "yes"}).status_code == 302
    assert list(Audit.objects.filter(job=number).values_list("verb", flat=True).order_by("id")) == ["priority", "cancel", "delete"]


@pytest.mark.parametrize("number", ODD)
def test_the_others_are_found_as_before(sara: Client, number: int) -> None:
    """By their words, their time, their task and their worker."""
    with connection.cursor() as cursor:  # what lies further below the newest than the index looks back
        cursor.execute("SELECT setval(pg_get_serial_sequence('jobs_job', 'id'), %s)", [found.ends()[1] + 2 * search.LATE + 60_000])
    insert(number)
    index_everything()
    jobs = [enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, name="late comer").pk for _ in range(2)]
    assert listed(sara, q="comer") == jobs[::-1], "not in the index yet"
    index_everything()
    with connection.cursor() as cursor:
        cursor.execute("SELECT array_agg(job ORDER BY job) FROM jobs_search WHERE job = ANY(%s)", [jobs])
        assert cursor.fetchone()[0] == jobs
    assert listed(sara, q="comer") == jobs[::-1]
    since, until = ((timezone.localtime() + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M") for hours in (-1, 1))
    for filters in ({"since": since}, {"until": until}, {"task": "jobs.tasks.sleep"}):
        assert [job for job in listed(sara, **filters) if job in jobs] == jobs[::-1], filters
    assert f'id="related-1-{jobs[1]}"' in sara.get(f"/jobs/{jobs[0]}/").content.decode()


@pytest.mark.parametrize("number", ODD[1:])
def test_the_index_takes_such_a_job_in(number: int) -> None:
    insert(number)
    with connection.cursor() as cursor:
        place = Indexer(None, Load()).place
        while place is not None:
            place = search.repair(cursor, place, masking.positional)
        cursor.execute("SELECT job FROM jobs_search")
        assert cursor.fetchall() == [(number,)]


def test_the_last_jobs_of_a_worker_are_its_own(sara: Client, worker: int) -> None:
    insert(HIGHEST)
    done = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET status = 'completed', finished_at = now(), worker = %s WHERE id = %s", [worker, done.pk])
    assert f"/jobs/{done.pk}/" in sara.get(f"/jobs/workers/{worker}/").content.decode()


def test_who_may_not_read_the_sequence_does_without() -> None:
    job = job_in("pending")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE no_sequences; GRANT SELECT ON ALL TABLES IN SCHEMA public TO no_sequences; SET LOCAL ROLE no_sequences")
        assert found.ends()[1] == job.pk
        cursor.execute("RESET ROLE; DROP OWNED BY no_sequences; DROP ROLE no_sequences")
