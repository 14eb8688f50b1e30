"""The lists stay quick when they are long: the number of queries is that of an empty list, and no query reads all jobs."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import Job
from jobs.store import queues, search, types
from tests.rows import job_in
from tests.waiting import until
from tests.web.test_rights import make_groups

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_files")]
ROWS = 22_000  # more than are counted to the end in two states, in one of which jobs wait
LISTS = [
    "/admin/jobs/job/",
    "/admin/jobs/job/?status__exact=failed",
    "/admin/jobs/job/?priority=9",
    "/admin/jobs/job/?q=name-77",
    "/admin/jobs/job/?p=150",
    "/admin/jobs/deadletterqueue/",
    "/admin/jobs/deadletterqueue/?resolution__exact=open",
    "/jobs/",
    "/jobs/?q=name-77",
    "/jobs/?status=failed",
    "/jobs/?creator=sara",
    "/jobs/?error=ValueError",
    "/jobs/dead-letters/",
    "/jobs/dead-letters/?q=ValueError",
    "/jobs/dead-letters/group/1/",
    "/jobs/dead-letters/reprocess/",
    "/jobs/queues/",
    "/jobs/workers/",
    "/jobs/types/",
    "/jobs/audit/",
    "/jobs/batches/",
    "/jobs/create/",
    "/",
]
MOST = 12  # queries of a page, also of the one who comes first  # fmt: skip


@pytest.fixture(autouse=True)
def long_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take more than a second for a page."""
    for name in ("live.KEPT", "live.KNOWN"):
        monkeypatch.setattr(f"jobs.web.{name}", 60.0)
    for name in ("stats._KEPT", "counts._KEPT", "counts._KEPT_ESTIMATE"):
        monkeypatch.setattr(f"jobs.store.{name}", 60.0)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    return client


@pytest.fixture
def operator(client: Client) -> Client:
    """One whose rights have to be read. A test with transactions may have emptied the table of groups."""
    make_groups()
    user = get_user_model().objects.create_user("omar", "", "x", is_staff=True)
    user.groups.set([Group.objects.get(name="Jobs admin")])
    client.force_login(user)
    return client


def fill() -> None:
    """Messages as long as those of errors are: to read a row costs more than to read its entry in an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (name, task, priority, queue, status, finished_at, last_error)
               SELECT 'name-' || n, 'jobs.tasks.sleep', n %% 10, 'q' || n %% 3, CASE n %% 2 WHEN 0 THEN 'failed' ELSE 'pending' END,
                      CASE n %% 2 WHEN 0 THEN now() END, 'ValueError: ' || n FROM generate_series(1, %s) n""",
            [ROWS],
        )
        cursor.execute(
            """INSERT INTO jobs_deadletterqueue (job_id, error_class, message, fingerprint, attempts)
               SELECT id, 'ValueError', rpad(last_error, 500, '.'), id % 5, 1 FROM jobs_job WHERE status = 'failed'"""
        )
        cursor.execute("ANALYZE jobs_job")
        cursor.execute("ANALYZE jobs_deadletterqueue")


def queries(client: Client, address: str) -> list[str]:
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


def test_ten_thousand_rows_cost_no_further_query(staff: Client) -> None:
    empty = {address: len(queries(staff, address)) for address in LISTS if "p=150" not in address and "group" not in address}
    fill()
    full = {address: queries(staff, address) for address in LISTS}
    assert {address: len(asked) for address, asked in full.items() if len(asked) > MOST} == {}
    assert {address: len(full[address]) for address in empty if len(full[address]) > empty[address] + 3} == {}
    assert [sql for asked in full.values() for sql in asked if "DISTINCT" in sql] == []


def test_one_whose_rights_are_read_costs_no_further_query(operator: Client) -> None:
    fill()
    waiting = Job.objects.filter(status="pending").values_list("pk", flat=True)[0]
    pages = [address for address in LISTS if not address.startswith("/admin/")] + [f"/jobs/{waiting}/"]
    assert {address: asked for address in pages if len(asked := queries(operator, address)) > MOST} == {}


def plan(sql: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        return dict(cursor.fetchone()[0][0]["Plan"])


def nodes(plan: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(plan["Node Type"], plan.get("Relation Name", ""))]
    return found + [node for part in plan.get("Plans", []) for node in nodes(part)]


def named(plan: dict[str, Any]) -> set[str]:
    """The indexes that are read, and the tables that are read from end to end."""
    own = {plan["Index Name"]} if "Index Name" in plan else {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return own.union(*(named(part) for part in plan.get("Plans", [])))


@pytest.mark.parametrize(
    ("query", "index", "found"), [("status=retrying", "jobs_job_due", 0), ("status=cancelled&queue=mail", "jobs_job_ended", 62)]
)
def test_a_rare_state_is_not_looked_for_among_all_jobs(staff: Client, query: str, index: str, found: int) -> None:
    """The rows of the first page, of the next one and of the one before, and their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, queue, status, attempts, runs, finished_at)
               SELECT 't.nap', CASE WHEN n % 320 = 0 THEN 'mail' ELSE 'celery' END, status, once, once, CASE once WHEN 1 THEN now() END
                 FROM (SELECT n, CASE WHEN n % 160 = 0 THEN 'cancelled' WHEN n % 50 = 1 THEN 'pending' ELSE 'completed' END AS status,
                              CASE WHEN n % 50 = 1 THEN 0 ELSE 1 END AS once FROM generate_series(1, 20000) n) a"""
        )
        cursor.execute("ANALYZE jobs_job")
    first = staff.get(f"/jobs/?{query}").context["page"]
    older = staff.get(f"/jobs/{first.older}").context["page"] if found else first
    newer = staff.get(f"/jobs/{older.newer}").context["page"] if found else first
    numbers = [job.pk for page in (first, older)[: 1 + bool(found)] for job in page.rows]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(numbers), [job.pk for job in newer.rows]) == (found, numbers[:50])
    addresses = [f"/jobs/?{query}", *(f"/jobs/{one}" for one in (first.older, older.newer) if found)]
    asked = [sql for address in addresses for sql in queries(staff, address) if 'FROM "jobs_job" WHERE' in sql]
    assert len(asked) == (6 if found else 1)
    read = [named(plan(sql)) for sql in asked]
    assert [names for names in read if index not in names or "jobs_job" in names] == []


def test_what_became_of_the_newest_jobs_is_read_from_an_index_also_where_many_failed(staff: Client) -> None:
    fill()
    asked = [sql for address in ("/", "/jobs/types/") for sql in queries(staff, address) if "percentile_cont" in sql]
    assert len(asked) == 3
    assert [named(plan(sql)) for sql in asked] == [{"jobs_job_ended"}] * 3


def test_tasks_of_waiting_jobs_are_not_looked_for_among_all_jobs(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    monkeypatch.setattr(types, "NEWEST", 100)
    [waiting] = [sql for sql in queries(staff, "/jobs/types/") if "waiting GROUP BY task" in sql]
    assert named(plan(waiting)) == {"jobs_job_due"}


def test_a_page_of_the_list_is_read_from_an_index(staff: Client) -> None:
    fill()
    shown = [sql for sql in queries(staff, "/admin/jobs/job/") if "LIMIT 50" in sql]
    assert len(shown) == 1
    read = nodes(plan(shown[0]))
    assert ("Seq Scan", "jobs_job") not in read
    assert not [kind for kind, _ in read if "Sort" in kind]


@pytest.mark.parametrize(("address", "times"), [("/jobs/queues/", 1), ("/", 1), ("/jobs/create/?task=jobs.tasks.sleep", 0)])
def test_the_oldest_of_each_lane_is_looked_for_once_and_not_for_the_form(staff: Client, address: str, times: int) -> None:
    asked = queries(staff, address)
    assert "".join(asked).count("SELECT min(since) AS since FROM") == times
    assert [sql for sql in asked if times == 0 and "GROUP BY queue" in sql] == []


def test_the_search_of_the_admin_reads_what_it_finds(staff: Client) -> None:
    fill()
    job = Job.objects.get(name="name-77")
    for text in ("name-77", "nobody", job.pk, job.task_id):
        read = [named(plan(sql)) for sql in queries(staff, f"/admin/jobs/job/?q={text}") if 'FROM "jobs_job" WHERE' in sql]
        assert read
        assert [names for names in read if "jobs_job" in names] == []


def test_more_dead_letters_than_ten_thousand_are_not_counted_on_every_page(staff: Client) -> None:
    fill()
    cache.clear()
    staff.cookies["django_language"] = "en"
    assert ">10,000+</bdi>" in staff.get("/jobs/").content.decode()
    assert "over 10,000 jobs failed for good" in staff.get("/").content.decode()


def indexes(sql: str) -> set[str]:
    """What is read of indexes where reading the whole table is not an answer."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {sql}")
        return set(re.findall(r"(?:using|Index Scan on) (\w+)", "\n".join(row[0] for row in cursor.fetchall())))


@pytest.mark.django_db(transaction=True)
def test_the_groups_of_open_dead_letters_are_counted_in_an_index_that_has_all_of_it(staff: Client) -> None:
    with connection.cursor() as cursor:  # rows rolled back before have left pages to this index, and VACUUM takes them from the table alone
        cursor.execute("TRUNCATE jobs_job CASCADE")
    fill()
    counted = [sql for sql in queries(staff, "/jobs/dead-letters/") if "WITH part" in sql]
    assert len(counted) == 1

    def in_its_index() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE) jobs_deadletterqueue")
        return "jobs_dlq_open" in indexes(counted[0])

    until(in_its_index, what="the groups are counted in their index")


def test_words_of_dead_letters_are_looked_for_among_the_jobs_that_failed(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:  # as above
        cursor.execute("TRUNCATE jobs_search")
    fill()
    for most, times in ((search.MOST_FAILED, 1), (-1, 3)):  # looked for once; where there are too many, for the groups and the page too
        monkeypatch.setattr(search, "MOST_FAILED", most)
        asked = [sql for sql in queries(staff, "/jobs/dead-letters/?q=ValueError") if "SELECT job FROM jobs_search WHERE words" in sql]
        assert len(asked) == times
        assert [indexes(sql) & {"jobs_search_failed", "jobs_search_words"} for sql in asked] == [{"jobs_search_failed"}] * times


def test_no_dead_letter_is_compared_with_each_job_that_has_the_words(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100,000 entries and as many jobs that have the words, such a page took over a minute."""
    fill()
    monkeypatch.setattr(search, "MOST_FAILED", -1)  # too many to be read one by one
    for text in ("ValueError", "17"):  # a number may also be a job's
        asked = [sql for sql in queries(staff, f"/jobs/dead-letters/?q={text}") if "jobs_deadletterqueue.job_id = ANY" in sql]
        assert len(asked) == 2
        for sql in asked:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}")
                lines = [row[0] for row in cursor.fetchall()]
            assert [line for line in lines if "Filter:" in line and "job_id = ANY" in line] == []


def test_the_history_of_a_job_is_found_without_reading_the_whole_audit(staff: Client) -> None:
    """Its records are never pruned."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_audit (actor, source, verb, job, error_group, before, after)
               SELECT 'Sara ' || n %% 20, 'page', 'cancel', n, CASE n WHEN 7 THEN 'abc' ELSE '' END, '{}', '{}'
                 FROM generate_series(1, %s) n""",
            [ROWS],
        )
        cursor.execute("ANALYZE jobs_audit")
    for text, number in (("77", 1), ('"sARA 7"', ROWS // 20), ("ABC", 1), ('"sara 7" 7', 1), ('"sara 8" 7', 0), ("nobody", 0)):
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            page = staff.get("/admin/jobs/audit/", {"q": text}).context["cl"]
        assert page.result_count == number
        asked = [query["sql"] for query in captured.captured_queries if "jobs_audit" in query["sql"]]
        assert len(asked) > 1
        assert [sql for sql in asked if ("Seq Scan", "jobs_audit") in nodes(plan(sql))] == []


def test_a_preview_reads_the_jobs_of_the_newest_entries_apart(staff: Client) -> None:
    """Joined to the entries, those of all 100,000 were read, for the names of arguments and once more for the tasks."""
    asked = queries(staff, "/jobs/dead-letters/reprocess/?error_class=ValueError")
    assert [sql for sql in asked if "jobs_deadletterqueue" in sql]
    assert [sql for sql in asked if 'JOIN "jobs_job"' in sql] == []


def test_jobs_of_a_day_are_found_in_the_admin_without_reading_all_others(staff: Client) -> None:
    with connection.cursor() as cursor:  # a job a minute
        cursor.execute(
            """INSERT INTO jobs_job (task, created_at, run_at)
               SELECT 't', at, at FROM generate_series(%s, 1, -1) n, make_interval(mins => n) ago, LATERAL (SELECT now() - ago) a (at)""",
            [ROWS],
        )
        cursor.execute("ANALYZE jobs_job")
    today = timezone.now()
    for first, last, number in ((-3, -2, 1440), (-1, 1, 1439), (-90, -80, 0)):
        address = {"created_at__gte": str(today + timedelta(days=first)), "created_at__lt": str(today + timedelta(days=last))}
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            assert abs(staff.get("/admin/jobs/job/", address).context["cl"].result_count - number) < 3
        asked = [query["sql"] for query in captured.captured_queries if "created_at" in query["sql"] and "RECURSIVE" not in query["sql"]]
        assert len(asked) == 2
        assert [sql for sql in asked if ("Seq Scan", "jobs_job") in nodes(plan(sql))] == []
    assert staff.get("/admin/jobs/job/?created_at__gte=never").status_code == 302


def test_the_queues_are_found_without_reading_their_jobs(client: Client) -> None:
    fill()
    with CaptureQueriesContext(connection) as captured:
        assert queues.names() == ["q0", "q1", "q2"]
    read = nodes(plan(captured.captured_queries[0]["sql"]))
    assert ("Seq Scan", "jobs_job") not in read
    assert ("Index Only Scan", "jobs_job") in read or ("Index Scan", "jobs_job") in read


def test_who_looks_within_a_second_costs_no_reading_of_the_dashboard(staff: Client) -> None:
    fill()
    assert len(queries(staff, "/")) > 5
    with CaptureQueriesContext(connection) as captured:
        assert staff.get("/").status_code == 200
    second = [query["sql"] for query in captured.captured_queries]
    assert [sql for sql in second if "django_session" not in sql and 'FROM "auth_user"' not in sql] == []


def test_the_live_part_is_written_once_for_all_and_apart_for_each_language(staff: Client) -> None:
    cache.clear()
    texts = []
    for language in ("ar", "en", "ar"):
        staff.cookies["django_language"] = language
        texts.append(staff.get("/", headers={"HX-Request": "true"}).content.decode())
    assert texts[0] == texts[2]
    assert "Dashboard" in texts[1]
    assert "Dashboard" not in texts[0]
    cache.clear()
    job_in("failed")
    assert 'class="counts-hot"' in staff.get("/", headers={"HX-Request": "true"}).content.decode()


def test_the_page_of_a_waiting_job_takes_twelve_queries_at_most(staff: Client) -> None:
    fill()
    waiting = Job.objects.filter(status="pending").values_list("pk", flat=True)[0]
    asked = queries(staff, f"/jobs/{waiting}/")
    assert len(asked) <= MOST
