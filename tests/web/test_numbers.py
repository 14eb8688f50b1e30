"""What waits now and what is due later are told apart, the same on each page; what nobody counted is not shown as counted."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import enqueue
from jobs.admin import paging
from jobs.domain.statuses import HELD, State
from jobs.models import DeadLetterQueue, Job
from jobs.store import counts, queues
from tests.rows import job_in

pytestmark = pytest.mark.django_db


def jobs() -> None:
    """Two that are due and three that are not."""
    for delay in (0, 0, 1_000, 2_000, 100_000):
        enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=delay)


def test_the_dashboard_and_the_queues_agree(sara: Client, worker: int, leader: None) -> None:
    jobs()
    content = sara.get("/").content.decode()
    assert re.search(r'id="count-queued".*?<span class="counts-n">.*?\b2\b', content)
    for page in (content, sara.get("/jobs/queues/").content.decode()):
        assert '<td class="num"><b>2</b> <bdi class="dim" dir="ltr">+3</bdi></td>' in page
    assert "After a plus sign: not due yet" in content
    assert re.search(r"2 jobs are waiting\.\s+3 more are not due yet\.", page)
    assert page.count('<b>2</b> <bdi class="dim" dir="ltr">+3</bdi>') == 2, "of the queue and of its lane"


def test_the_form_counts_what_waits_now(sara: Client, worker: int) -> None:
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=86_400)
    assert "where 0 jobs are waiting now" in sara.get("/jobs/create/?task=jobs.tasks.sleep").content.decode()


def test_a_queue_whose_jobs_are_due_later_needs_a_worker_too(sara: Client, worker: int, leader: None) -> None:
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, queue="slow", delay=86_400)
    assert "No worker serves the queue" in sara.get("/").content.decode()


def test_the_command_says_what_is_not_due(capsys: pytest.CaptureFixture[str]) -> None:
    jobs()
    job_in("completed")
    call_command("jobs")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(": 5 (3 of them not due yet)")
    assert sum("not due" in line for line in lines) == 1


@pytest.mark.parametrize("analysed", ["never", "when it was empty"])
def test_many_jobs_are_not_all_read_where_the_table_was_not_analysed_since(analysed: str) -> None:
    """As after a first load of many: autovacuum comes a minute later, or not at all."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job CASCADE")
        if analysed != "never":
            cursor.execute("ANALYZE jobs_job")
        cursor.execute(
            """INSERT INTO jobs_job (task, status, finished_at)
               SELECT 't.nap', CASE n % 4 WHEN 0 THEN 'failed' ELSE 'completed' END, now() FROM generate_series(1, 60000) n"""
        )
    with CaptureQueriesContext(connection) as captured:
        numbers = counts.counts()
    [share] = re.findall(r"TABLESAMPLE SYSTEM \(([\d.]+)\)", str(captured.captured_queries))
    assert float(share) < 60
    for state, number in ((State.FAILED, 15_000), (State.COMPLETED, 45_000)):
        assert numbers[state].estimated
        assert abs(numbers[state] - number) < number / 5


def test_the_admin_does_not_show_where_it_stopped_counting_as_the_number(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST", 1_000)
    Job.objects.bulk_create([Job(task="t", queue="celery") for _ in range(1_000)])

    def text(query: str = "") -> str:
        return sara.get(f"/admin/jobs/job/{query}", headers={"accept-language": "en"}).content.decode()

    assert re.search(r"\n1000 jobs", text())
    enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    for content in (text(), text("?status__exact=pending")):
        assert re.search(r"\n1,000\+ jobs", content)
        assert "Select all 1,000+ jobs" in content
    assert "1,000+ results" in content


def test_a_job_that_was_replaced_is_due_later_in_no_time_zone() -> None:
    Job.objects.filter(pk=job_in("pending").pk).update(run_at=HELD)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TIME ZONE 'America/Los_Angeles'")
        assert queues.due_later(cursor, ["celery"], 10) == []


def test_what_is_due_later_comes_in_its_order_from_all_lanes_and_queues() -> None:
    hours = [(3, 9, "celery"), (1, 0, "other"), (2, 5, "celery"), (4, 5, "celery"), (1, 5, "elsewhere"), (-1, 5, "other")]
    made = [
        enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, run_at=timezone.now() + timedelta(hours=ahead), priority=priority, queue=queue)
        for ahead, priority, queue in hours
    ]
    with connection.cursor() as cursor:
        found = [row[1] for row in queues.due_later(cursor, ["celery", "other"], 3)]
        assert found == [made[place].task_id for place in (1, 2, 0)]
        ids = [made[place].task_id for place in (0, 4, 5)]
        assert [row[1] for row in queues.due_later(cursor, ["celery", "other"], 3, ids)] == [made[0].task_id]


@pytest.fixture
def far() -> Iterator[int]:
    """The number of the next job, one with seven digits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('jobs_job_id_seq')")
        before = cursor.fetchone()[0]
        cursor.execute("SELECT setval('jobs_job_id_seq', 7654321, false)")
        yield 7_654_321
        cursor.execute("SELECT setval('jobs_job_id_seq', %s)", [before])  # no transaction takes that back


def test_the_number_of_a_job_has_no_separators(sara: Client, far: int, worker: int, settings: Any) -> None:
    """A project may want them in its own pages; the desk's forms send the numbers back."""
    settings.USE_THOUSAND_SEPARATOR = True
    entry = DeadLetterQueue.objects.get(job=job_in("failed"))
    assert entry.job_id == far
    group = f"/jobs/dead-letters/group/{entry.fingerprint}/"
    for address in ("/", "/jobs/", f"/jobs/{far}/", f"/jobs/create/?from={far}", "/jobs/dead-letters/", group, "/jobs/audit/"):
        for headers in ({}, {"HX-Request": "true"}):
            content = sara.get(address, headers=headers).content.decode()
            assert f"{far:,}" not in content, (address, headers)
    picked = re.search(r'name="job" value="([^"]+)"', sara.get("/jobs/").content.decode())
    assert picked is not None
    preview = sara.post("/jobs/bulk/", {"verb": "reprocess", "job": picked[1]}, follow=True)
    assert str(far) in preview.content.decode()
    assert f"{far:,}" not in preview.content.decode()


@pytest.mark.parametrize("max_retries", [10_000, None])
def test_many_attempts_are_grouped_as_other_numbers_are(sara: Client, max_retries: int | None) -> None:
    job = job_in("failed", max_retries=max_retries)
    waits = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, max_retries=max_retries)
    Job.objects.filter(pk__in=[job.pk, waits.pk]).update(attempts=5_009, runs=5_009)
    DeadLetterQueue.objects.update(attempts=5_009)
    pages = "".join(sara.get(address).content.decode() for address in ("/jobs/", f"/jobs/{waits.pk}/", "/jobs/dead-letters/?q=ValueError"))
    assert pages.count("5,009") == 5
    assert "5009" not in pages
    assert "10001" not in pages


def test_of_jobs_that_were_made_when_they_were_due_already_few_are_read() -> None:
    """As after a copy of another queue's jobs: the index does not know which of them has been waiting longest."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, run_at, created_at)
               SELECT 't.nap', now() - interval '1 day' * random(), now() - interval '1 second' FROM generate_series(1, 4000) n"""
        )
        with CaptureQueriesContext(connection) as captured:
            (line,) = queues.lines([])
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {captured[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert (line.waiting, line.oldest is not None) == (4_000, True)
    limits = [float(rows) for rows in re.findall(r"Limit \(actual rows=([\d.]+)", plan)]
    assert 0 < max(limits) <= 1_000
