"""The list of jobs: filters in the address, words, pages both ways; and no plan that reads the whole table."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_script_prefix
from django.utils import timezone

from jobs import control, enqueue
from jobs.domain.statuses import State
from jobs.models import Job, Worker
from jobs.store import counts, found, search, transitions
from jobs.store.seed import seed
from jobs.store.transitions import Failure, Run
from jobs.web import filters
from tests.rows import index_everything, job_in

pytestmark = pytest.mark.django_db


def shown(client: Client, address: str) -> list[int]:
    answer = client.get(address)
    assert answer.status_code == 200
    return [job.pk for job in answer.context["page"].rows]


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
        "q=4711": [named], "q=471": [], "q=ValueErr": [failed], "q=ValueError": [failed], "q=%2B%2B": [], "q=nothinglikeit": [],
        "queue=other": [plain],
        "task=jobs.tasks.sleep&queue=other": [plain],
        "task=no.such": [], "task=jobs.tasks.fail": [named], "priority=9": [named], "priority=٩": [named],
        "creator=sara": [named], "creator=x": [],
        "error=ValueError": [failed], "error=ValueErr": [], "status=failed": [failed], "status=completed": [done],
        "status=queued&queue=celery": [named], f"worker={worker.name}": [done, failed], "worker=blue": [done, failed], "worker=red": [],
    }  # fmt: skip
    assert {query: shown(sara, f"/jobs/?{query}") for query in wanted} == {
        query: [job.pk for job in jobs] for query, jobs in wanted.items()
    }


def test_rows_can_be_chosen_by_those_alone_who_may_act_on_them(client: Client) -> None:
    job = job_in("pending")
    viewer = get_user_model().objects.create_user("vera", "", "x")
    viewer.user_permissions.set(Permission.objects.filter(codename="view_job"))
    client.force_login(viewer)
    client.cookies["django_language"] = "en"
    page = client.get("/jobs/").content.decode()
    assert f'id="job-{job.pk}"' in page
    assert 'type="checkbox"' not in page
    assert "selects one" not in page
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_job", "control_job"]))
    page = client.get("/jobs/").content.decode()
    assert f'id="pick-{job.pk}"' in page
    assert "selects one" in page


@pytest.mark.parametrize("typed", ["7", "٧", "۷"])
def test_a_priority_in_the_digits_of_any_script_stays_chosen(sara: Client, typed: str) -> None:
    assert '<option value="7" selected>' in sara.get("/jobs/", {"priority": typed}).content.decode()


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


@pytest.mark.usefixtures("own_files")
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


def test_an_empty_list_says_why_and_what_to_do(sara: Client) -> None:
    sara.cookies["django_language"] = "en"
    new = sara.get("/jobs/").content.decode()
    assert "No jobs yet." in new
    assert 'id="no-filters"' not in new
    job_in("completed", name="invoice 7")
    none = sara.get("/jobs/?status=failed&q=invoice").content.decode()
    assert "No jobs match." in none
    assert "Jobs that ended more than 7 d ago have been deleted" in none
    assert '<a class="btn btn-main" id="every-state" href="?q=invoice">' in none
    assert '<table class="tbl" data-keys>' not in none
    assert 'id="no-filters" href="?"' in sara.get("/jobs/?status=failed").content.decode()


@pytest.mark.parametrize(
    ("address", "fields"),
    [("/jobs/?status=foo&since=soon", ["State", "Created since"]), ("/jobs/audit/?verb=foo&job=x", ["What", "Job number"])],
)
def test_a_filter_that_cannot_be_read_is_named(sara: Client, address: str, fields: list[str]) -> None:
    page = sara.get(address).content.decode()
    said = re.findall(r'<p class="wrong".*?<span>(.*?): ', page)
    assert said == fields


def test_a_line_is_written_anew_when_something_in_it_changes(sara: Client) -> None:
    """Lines are kept; nothing of an older or another reader's line may be shown."""
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 60}, name="kept")

    def line() -> str:
        cache.clear()
        found = re.search(rf'<tr><td class="pick">.*?id="pick-{job.pk}".*?</tr>', sara.get("/jobs/").content.decode())
        assert found
        return found[0]

    first = line()
    assert line() == first
    assert ("Queued" in first, '<span class="prio">5</span>' in first) == (True, True)
    control.change_priority([job.pk], 9, by="sara")
    assert '<span class="prio prio-high">9</span>' in line()
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=job.pk, runs=1), task_id=job.task_id, worker=1, queue="celery", priority=9)
        cursor.execute("UPDATE jobs_job SET started_at = now() - interval '65 s' WHERE id = %s", [job.pk])
    assert ("Running" in line(), "<bdi>1:0" in line()) == (True, True)
    with connection.cursor() as cursor:
        failure = Failure(error_class="ValueError", message="password=hunter2 is wrong")
        assert transitions.bury(cursor, Run(id=job.pk, runs=1), failure, task=job.task)
    assert ("Failed" in line(), "</bdi>: password=***" in line(), "hunter2" in line()) == (True, True, False)
    sara.cookies["django_language"] = "ar"
    assert "فاشلة" in line()
    before = line()
    sara.cookies["timezone"] = "Asia/Kolkata"
    assert line() != before


def test_a_filtered_list_counts_no_states(sara: Client) -> None:
    """Their numbers are not shown beside filters, and cost more than the search."""
    job_in("failed", name="invoice 7")
    for address, counted in (("/jobs/", 1), ("/jobs/?status=failed", 1), ("/jobs/?q=invoice", 0), ("/jobs/?q=invoice&status=failed", 0)):
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            page = sara.get(address).content.decode()
        assert len([query for query in captured.captured_queries if "count(*) FILTER (WHERE attempts = 0" in query["sql"]]) == counted
        tabs = re.findall(r'id="tab-(\w+)"[^>]*>(.*?)</a>', page)
        assert [name for name, _ in tabs] == ["all", *(state.value for state in State if state is not State.REPLACED)]
        assert all(("<b>" in text) == bool(counted) for _name, text in tabs)


def test_the_search_box_leads_straight_to_a_job_by_number_or_celery_id(sara: Client) -> None:
    job, other = job_in("pending", name="Invoice 7"), job_in("pending")
    arabic = str(job.pk).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    for text in (str(job.pk), f" {job.pk} ", arabic, job.task_id):
        assert sara.get("/jobs/find/", {"q": text}).headers["Location"] == f"/jobs/{job.pk}/"
    for text in ("Invoice", str(other.pk + 1), "9" * 30, "", "a b", "²", "\0"):
        answer = sara.get("/jobs/find/", {"q": text}, follow=True)
        assert (answer.status_code, answer.request["PATH_INFO"]) == (200, "/jobs/"), text
    assert 'action="/jobs/find/"' in sara.get("/").content.decode()


def test_a_name_that_has_no_end_is_cut(sara: Client) -> None:
    """A row that somebody has inserted may have one of megabytes; so had each page with it."""
    job = job_in("pending")
    Job.objects.update(name="x" * 1_000_000)
    for address in ("/jobs/?q=", f"/jobs/{job.pk}/", "/"):
        assert len(sara.get(address).content) < 300_000, address
    assert b"x" * 250 in sara.get("/jobs/?q=").content


def test_the_lines_lead_to_where_the_desk_was_asked_for(sara: Client) -> None:
    """A server may reach it under several paths."""
    number = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}).pk
    for prefix in ("/app/", "/"):
        with override_script_prefix(prefix):
            assert f'href="{prefix}jobs/{number}/"' in sara.get(f"/jobs/?queue=celery&name={len(prefix)}").content.decode()
