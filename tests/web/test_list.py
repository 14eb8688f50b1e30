"""The list of jobs: filters in the address, words, pages both ways, the file; and no plan that reads the whole table."""

import csv
import io
import json
import threading
from datetime import timedelta
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import control, enqueue
from jobs.domain.statuses import State
from jobs.leader import indexing
from jobs.models import Job, Worker
from jobs.store import counts, found, search, transitions
from jobs.store.seed import seed
from jobs.store.transitions import Run
from jobs.web import filters
from tests.rows import job_in
from tests.waiting import until

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_cache() -> None:
    cache.clear()


@pytest.fixture
def sara(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    return client


def shown(client: Client, address: str) -> list[int]:
    answer = client.get(address)
    assert answer.status_code == 200
    return [job.pk for job in answer.context["page"].rows]


def index_everything() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        while search.fill(cursor):
            pass


@pytest.mark.parametrize(("indexed", "most"), [(False, 10_000), (True, 10_000), (True, 0)])
def test_each_filter_finds_its_job_and_no_other(sara: Client, indexed: bool, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST", most)  # 0: each word is one of too many jobs
    by = get_user_model().objects.get()
    worker = Worker.objects.create(id=1, name="blue@host", pid=1, concurrency=1, queues=["celery"], tasks=[], versions={})
    plain = job_in("pending", queue="other", priority=1)
    named = enqueue("jobs.tasks.fail", kwargs={"message": "الفاتورة 4711"}, name="Invoice-20418 paid", created_by=by, priority=9)
    failed = job_in("failed", name="broken")
    done = job_in("completed", name="done")
    if indexed:
        index_everything()
    wanted = {
        "q=invoice": [named], "q=20418+INV": [named], "q=الفاتورة": [named],
        "q=4711": [named], "q=ValueError": [failed], "q=%2B%2B": [], "q=nothinglikeit": [], "queue=other": [plain],
        "task=jobs.tasks.sleep&queue=other": [plain],
        "task=no.such": [], "task=jobs.tasks.fail": [named], "priority=9": [named], "creator=sara": [named], "creator=x": [],
        "error=ValueError": [failed], "error=ValueErr": [], "status=failed": [failed], "status=completed": [done],
        "status=queued&queue=celery": [named], f"worker={worker.name}": [done, failed], "worker=blue": [done, failed], "worker=red": [],
    }  # fmt: skip
    assert {query: shown(sara, f"/jobs/?{query}") for query in wanted} == {
        query: [job.pk for job in jobs] for query, jobs in wanted.items()
    }


def test_the_times_are_read_in_the_zone_of_the_visitor(sara: Client) -> None:
    jobs = [job_in("pending") for _ in range(7)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET created_at = now() - make_interval(hours => (%s - id)::int)", [jobs[-1].pk])
    sara.cookies["timezone"] = "Asia/Riyadh"
    edge = timezone.now() - timedelta(hours=3, minutes=30) + timedelta(hours=3)
    assert shown(sara, f"/jobs/?since={edge:%Y-%m-%dT%H:%M}") == [job.pk for job in reversed(jobs[3:])]
    assert shown(sara, f"/jobs/?until={edge:%Y-%m-%dT%H:%M}") == [job.pk for job in reversed(jobs[:3])]
    assert sara.get("/jobs/?since=yesterday").context["page"].rows == []


def test_numbers_follow_the_times() -> None:
    jobs = [job_in("pending") for _ in range(20)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET created_at = now() - make_interval(hours => (%s - id)::int)", [jobs[-1].pk])
    for hours in (-5, 0, 3, 19, 40):
        at = timezone.now() - timedelta(hours=hours, minutes=30)
        later = [job.pk for job in Job.objects.filter(created_at__gte=at)]
        earlier = [job.pk for job in Job.objects.filter(created_at__lte=at)]
        assert all(number >= found.number_before(at) for number in later)
        assert all(number <= found.number_after(at) for number in earlier)
        assert found.number_after(at) - found.number_before(at) <= 1


def test_what_is_searched_beyond_one_page_goes_on_from_there(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    old = job_in("pending", priority=9)
    for _ in range(25):
        job_in("pending", priority=1)
    monkeypatch.setattr(filters, "REACH", 10)
    seen, address = [], "/jobs/?priority=9"
    for _ in range(9):
        page = sara.get(address).context["page"]
        seen += page.rows
        if not page.older:
            break
        address = f"/jobs/{page.older}"
    assert [job.pk for job in seen] == [old.pk]
    newer, steps = page.newer, 0
    while newer and steps < 9:
        page = sara.get(f"/jobs/{newer}").context["page"]
        newer, steps = page.newer, steps + 1
    assert steps in (2, 3)
    assert not page.rows
    assert page.older


def test_an_error_is_found_though_it_came_after_the_job_was_indexed(sara: Client) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    index_everything()
    assert shown(sara, "/jobs/?q=ValueError") == []
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_attempt (job_id, run, outcome, error_class, message, finished_at)"
            " VALUES (%s, 1, 'failed', 'ValueError', 'x', now())",
            [job.pk],
        )
    index_everything()
    assert shown(sara, "/jobs/?q=ValueError") == [job.pk]


def test_the_walk_finds_what_was_missed_and_removes_what_is_gone() -> None:
    jobs = [job_in("completed", name=f"walk {number}") for number in range(6)]
    index_everything()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_search WHERE job = %s", [jobs[2].pk])
        control.delete([jobs[4].pk], by="sara")
        place: int | None = 0
        while place is not None:
            place = search.repair(cursor, place)
        cursor.execute("SELECT job FROM jobs_search ORDER BY job")
        assert [row[0] for row in cursor.fetchall()] == [job.pk for job in jobs if job != jobs[4]]


def test_indexing_takes_a_tenth_of_the_time_at_most_and_a_fiftieth_while_jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK", 2)
    ticks = iter([0.0, 0.01, 10.0, 13.0, 50.0, 53.0])
    steps = iter([2, 2, 2, 0])
    monkeypatch.setattr(search, "fill", lambda cursor: next(steps))
    load = indexing.Load()
    indexer = indexing.Indexer(mock.MagicMock(), load)
    assert indexer.step(lambda: 0.0) == indexing.QUIET  # a standby: nothing was filled
    load.leads = True
    assert indexer.step(lambda: next(ticks)) == indexing.BUSY
    assert indexer.step(lambda: next(ticks)) == 27
    load.crowded = True
    assert indexer.step(lambda: next(ticks)) == 147
    indexer.place, indexer.next_walk = None, 9e9
    assert indexer.step(lambda: 20.0) == indexing.QUIET


def test_the_leader_s_thread_indexes(transactional_db: None) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, name="threaded")
    stop = threading.Event()
    thread = threading.Thread(target=indexing.run, args=(stop, indexing.Load(leads=True)))
    thread.start()
    try:
        until(lambda: indexed() == [job.pk], timeout=20)
    finally:
        stop.set()
        thread.join(20)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM jobs_search")  # no model: pytest does not empty it
    assert not thread.is_alive()


def indexed() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT job FROM jobs_search")
        return [row[0] for row in cursor.fetchall()]


def test_a_replaced_job_has_a_state_of_its_own(sara: Client) -> None:
    """Its row waits for the end of other tasks, not for a time."""
    later = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=3600)
    assert b"status=replaced" not in sara.get("/jobs/").content
    replaced = job_in("running")
    with connection.cursor() as cursor:
        assert transitions.replace(cursor, Run(id=replaced.id, runs=1))
    cache.clear()
    assert Job.objects.get(id=replaced.id).state is State.REPLACED
    assert {state: number for state, number in counts.counts().items() if number} == {State.SCHEDULED: 1, State.REPLACED: 1}
    assert b"status=replaced" in sara.get("/jobs/").content
    for state, job in (("replaced", replaced), ("scheduled", later)):
        assert [row.id for row in sara.get(f"/jobs/?status={state}").context["page"].rows] == [job.id]
    assert "state-replaced" in sara.get(f"/jobs/{replaced.id}/").content.decode()


def test_counts_are_exact_below_their_limit_and_marked_above_it(monkeypatch: pytest.MonkeyPatch, sara: Client) -> None:
    for status in ("pending", "completed", "completed", "failed"):
        job_in(status)
    assert {state: number for state, number in counts.counts().items() if number} == {State.QUEUED: 1, State.COMPLETED: 2, State.FAILED: 1}
    cache.clear()
    list(seed(15_000, 300))
    numbers = counts.counts()
    assert not numbers[State.FAILED].estimated
    assert numbers[State.FAILED] == 301
    exact = Job.objects.filter(status="completed").count()
    assert numbers[State.COMPLETED].estimated
    assert abs(numbers[State.COMPLETED] - exact) < exact / 5
    assert "about" in sara.get("/jobs/").content.decode()


def nodes(plan: dict) -> list[tuple[str, str]]:
    return [(plan["Node Type"], plan.get("Relation Name", "")), *(node for part in plan.get("Plans", []) for node in nodes(part))]


def test_no_page_of_the_list_reads_all_jobs(sara: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "REACH", 2_000)  # as small beside these rows as the real one beside two million
    list(seed(30_000, 2_000))
    index_everything()
    newest = found.ends()[1]
    addresses = [
        "", "?status=failed", "?status=cancelled", "?status=scheduled", "?status=running", "?q=Invoice", "?q=nothinglikeit", "?q=17",
        "?task=mail.send_receipt", "?error=KeyError", "?priority=3", "?queue=nosuch", "?queue=seeded&status=queued",
        f"?before={newest - 9000}", f"?after={newest - 9000}&status=failed", "?since=2026-01-01T00:00", "?worker=7", "?creator=sara",
    ]  # fmt: skip
    for address in addresses:
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            assert sara.get(f"/jobs/{address}").status_code == 200
        assert len(captured) <= 15, address  # of which three are the session's and the user's
        for query in captured.captured_queries:
            if "jobs_job" in query["sql"] and query["sql"].lstrip().startswith(("SELECT", "WITH")):
                with connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
                    assert ("Seq Scan", "jobs_job") not in nodes(cursor.fetchone()[0][0]["Plan"]), (address, query["sql"])


def test_the_file_has_what_the_list_has(sara: Client) -> None:
    nasty = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, name='=HYPERLINK("http://x")', priority=9)
    job_in("pending", priority=1)
    answer = sara.get("/jobs/export/?format=csv&priority=9")
    assert answer.streaming
    assert answer["Content-Disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))
    assert [(row["id"], row["name"]) for row in rows] == [(str(nasty.pk), '\'=HYPERLINK("http://x")')]
    jobs = json.loads(sara.get("/jobs/export/?format=json").getvalue())
    assert [job["priority"] for job in jobs] == [1, 9]
    assert jobs[1]["name"] == nasty.name
    assert json.loads(sara.get("/jobs/export/?format=json&q=nobody").getvalue()) == []
    assert sara.get("/jobs/export/?format=exe").status_code == 400
    assert sara.get("/jobs/export/?format=csv&since=never").status_code == 400
    assert sara.post("/jobs/export/?format=csv").status_code == 405


def test_the_file_is_for_those_who_may_see_jobs(client: Client) -> None:
    assert client.get("/jobs/export/?format=csv").status_code == 302
    client.force_login(get_user_model().objects.create_user("guest"))
    assert client.get("/jobs/export/?format=csv").status_code == 403


@pytest.mark.parametrize("numbers", [("0", "0"), ("5", "6"), ("5", "-1")])
def test_seeding_refuses_numbers_that_make_no_sense(numbers: tuple[str, str]) -> None:
    with pytest.raises(CommandError):
        call_command("seed_jobs", "--jobs", numbers[0], "--dead-letters", numbers[1])
    assert not Job.objects.exists()


def test_seeding_is_refused_in_use(settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("seed_jobs", "--jobs", "5", "--dead-letters", "0")
    call_command("seed_jobs", "--jobs", "500", "--dead-letters", "50", "--force", stdout=io.StringIO())
    assert Job.objects.count() == 500
    assert Job.objects.filter(status="failed", dead_letters__resolution="open", dead_letters__notify_after=None).count() == 50


def test_an_empty_list_says_why_and_what_to_do(sara: Client) -> None:
    sara.cookies["django_language"] = "en"
    new = sara.get("/jobs/").content.decode()
    assert "There is no job yet." in new
    assert 'id="no-filters"' not in new
    job_in("completed", name="invoice 7")
    none = sara.get("/jobs/?status=failed&q=invoice").content.decode()
    assert "No job is like that." in none
    assert "What ended more than 7 d ago was deleted" in none
    assert '<a class="btn btn-main" id="every-state" href="?q=invoice">' in none
    assert '<table class="tbl" data-keys>' not in none
    assert 'id="no-filters" href="?"' in sara.get("/jobs/?status=failed").content.decode()
