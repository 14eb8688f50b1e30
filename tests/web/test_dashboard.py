"""The dashboard: what each number means, how fast each queue goes, how far each run is, and what needs a person."""

import doctest
import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import translation

from jobs import enqueue
from jobs.domain.statuses import State
from jobs.management.commands.jobs import overview
from jobs.models import DeadLetterQueue, Job
from jobs.store import outages, queues, stats, transitions, types
from jobs.store.clock import reckoned
from jobs.store.counts import Number
from jobs.store.transitions import Failure, Run
from jobs.web import health, times
from jobs.web.figures import Figure
from tests.rows import job_in

pytestmark = pytest.mark.django_db(transaction=True)
TASK = "jobs.tasks.sleep"


@pytest.fixture
def page(client: Client) -> Any:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"

    def text(address: str = "/") -> str:
        cache.clear()
        return client.get(address).content.decode()

    return text


def ended(number: int, *, queue: str = "celery", run: float = 2.0, ago: float = 60.0) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, queue, status, runs, worker, started_at, finished_at)
               SELECT %s, %s, 'completed', 1, 1, now() - make_interval(secs => %s + %s), now() - make_interval(secs => %s)
                 FROM generate_series(1, %s)""",
            [TASK, queue, ago, run, ago, number],
        )


def claimed(worker: int, *, ago: float = 0.0, **options: Any) -> Job:
    job = enqueue(TASK, kwargs={"seconds": 60}, **options)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=job.id, runs=1), task_id=job.task_id, worker=worker, queue=job.queue, priority=job.priority)
        cursor.execute("UPDATE jobs_job SET started_at = started_at - make_interval(secs => %s) WHERE id = %s", [ago, job.id])
    return job


def test_whether_each_part_works_is_said_in_words_too(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def parts() -> list[str]:
        found = re.findall(r"<li(.*?)>(.*?)</li>", page().split('aria-label="Parts of the system"')[1].split("</ul>")[0])
        return [("bad " if "err" in mark else "") + re.sub("<[^>]+>", "", text) for mark, text in found]

    assert parts() == ["PostgreSQL: works", "Redis: works", "bad Leader: does not work", "0 workers"]
    monkeypatch.setattr(stats, "redis_lives", lambda: False)
    assert parts()[1] == "bad Redis: does not work"


def notes(text: str) -> dict[str, str]:
    """The line below each number, by the state."""
    return dict(re.findall(r'\?status=(\w+)">.*?<span class="counts-sub">(.*?)</span>', text))


def test_each_number_says_more(page: Any, worker: int) -> None:
    empty = notes(page())
    assert (empty["queued"], empty["running"], empty["scheduled"], empty["failed"]) == ("due, not started", "of 4 slots", "", "")
    enqueue(TASK, kwargs={"seconds": 1}, delay=100_000)
    enqueue(TASK, kwargs={"seconds": 1}, delay=1_800)
    again, buried = claimed(worker, max_retries=2), claimed(worker)
    failure = Failure(error_class="ValueError", message="no")
    with connection.cursor() as cursor:
        transitions.retry(cursor, Run(id=again.id, runs=1), failure, delay=7_200)
        transitions.bury(cursor, Run(id=buried.id, runs=1), failure, task=TASK)
    ended(35)
    found = notes(page())
    assert re.fullmatch("next in 29 min", found["scheduled"])
    assert re.fullmatch("next at (\\d+ \\w+ )?\\d\\d:\\d\\d", found["retrying"])
    assert (found["completed"], found["failed"], found["cancelled"]) == ("7 per minute", "\u2066+1\u2069 in 10 min", "kept for 7 d")


def test_a_retry_within_a_second_is_due_now() -> None:
    number = Number(1)
    number.next_at = reckoned()
    with translation.override("en"):
        assert Figure(state=State.RETRYING, number=number, slots=4, rate=0, new=0).note == "due now"


def test_a_queue_says_how_many_it_completes_in_a_minute(page: Any, worker: int) -> None:
    ended(60, queue="celery", ago=100)
    ended(1, queue="mail", ago=290)
    ended(500, queue="old", ago=400)
    enqueue(TASK, kwargs={"seconds": 1}, queue="mail")
    assert {line.name: line.rate for line in queues.lines(stats.workers())} == {"celery": 12.0, "mail": 0.2}
    cells = r'<bdi class="mono" dir="ltr">(celery|mail)</bdi></a>.*?<td class="num mid-up">([\d.]+)</td></tr>'
    rows = dict(re.findall(cells, page("/jobs/queues/")))
    assert rows == {"celery": "12", "mail": "0.2"}


def test_a_busy_system_is_looked_at_for_a_shorter_time() -> None:
    ended(1_500, queue="a", ago=30)
    ended(1_500, queue="b", ago=60)
    for queue in "ab":
        enqueue(TASK, kwargs={"seconds": 1}, queue=queue)
    found = {line.name: line.rate for line in queues.lines([])}
    assert found["a"] == pytest.approx(1_500, rel=0.2), "1,500 in the last minute"
    assert found["b"] == pytest.approx(500, rel=0.2), "only as many as were looked at"


def test_a_slot_says_how_far_its_job_is(page: Any, worker: int) -> None:
    short, long = claimed(worker, ago=60, timeout=600), claimed(worker, ago=5_400, timeout=None)
    text = page()
    assert re.search(r'<meter value="0\.1\d\d" title="1 min( and \d+ s)? of its time limit, 10 min"', text)
    assert text.count("<meter") == 1, "the other has no limit, and nobody knows its kind"
    ended(types.ENOUGH, run=240)
    text = page()
    assert re.search(
        rf'<a class="slot" id="slot-{short.id}".*?<meter value="0\.2\d\d" title="1 min[^"]* of the 4 min within which 95%', text
    )
    assert re.search(rf'<a class="slot slot-long" id="slot-{long.id}".*?longer than usual:.*?<meter value="1\.000"', text)
    for address in ("/jobs/workers/", f"/jobs/workers/{worker}/"):
        assert page(address).count("<meter") == 2


def test_what_is_usual_needs_some_jobs() -> None:
    ended(types.ENOUGH - 1)
    cache.clear()
    assert types.usual() == {}
    ended(1)
    assert types.usual() == {}, "kept for a minute"
    cache.clear()
    assert types.usual() == {TASK: pytest.approx(2.0)}


def test_it_says_since_when_redis_is_away(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "redis_lives", lambda: False)
    assert "<strong>Redis does not answer.</strong>" in page()
    with connection.cursor() as cursor:
        outages.note(cursor, outages.REDIS, 300)
    assert re.search(r"<strong>Redis has been unreachable since (\d+ \w+ )?\d\d:\d\d\.</strong>", page())


def test_it_says_that_redis_takes_no_messages(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "redis_lives", lambda: True)
    with connection.cursor() as cursor:
        outages.note(cursor, f"{outages.REFUSING}used memory > 90%.", 300)
    text = page()
    assert re.search(
        r"<strong>Redis has accepted no messages since (\d+ \w+ )?\d\d:\d\d: \u2066used memory &gt; 90%\.\u2069</strong>", text
    )
    assert re.search(r"s-failed[^<]*(<[^>]*>\s*)*<bdi>Redis</bdi>", text)


def test_each_reader_has_the_time_of_his_own_zone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reading serves all; the time in it is written for each."""
    monkeypatch.setattr(stats, "redis_lives", lambda: False)
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    with connection.cursor() as cursor:
        outages.note(cursor, outages.REDIS, 300)
    found = []
    for zone in ("Asia/Riyadh", "Asia/Kolkata"):
        client.cookies["timezone"] = zone
        said = re.search(r"unreachable since .*?\d\d:(\d\d)", client.get("/", headers={"HX-Request": "true"}).content.decode())
        assert said
        found.append(int(said[1]))
    assert (found[0] - found[1]) % 60 == 30


def test_a_large_number_is_shown_in_groups() -> None:
    for language, wanted in (("en", "4,321 jobs failed for good"), ("ar", "فشلت 4,321 مهمة")):
        with translation.override(language):
            assert wanted in health._dead_alerts(4_321, 0)[0].fact


def test_times_are_said_as_their_examples_show() -> None:
    assert doctest.testmod(times).failed == 0
    assert doctest.testmod(times).attempted >= 2


def alerts(text: str) -> list[tuple[str, str]]:
    """Each fact with its remedy."""
    return re.findall(r'<p><strong>(.*?)</strong></p><p class="alert-do">(.*?)</p>', text)


def test_all_is_well(page: Any, worker: int, leader: None) -> None:
    text = page()
    assert alerts(text) == []
    assert "All is well" in text


def test_no_worker_and_what_to_do(page: Any, leader: None) -> None:
    for address in ("/", "/jobs/workers/"):
        ((fact, remedy),) = alerts(page(address))
        assert fact == "No worker is up, so no jobs run."
        assert "celery -A task_queue_project worker -P gevent" in remedy
    assert "1 issue needs attention" in page()


def test_no_leader_and_what_to_do(page: Any, worker: int) -> None:
    for address in ("/", "/jobs/workers/"):
        ((fact, remedy),) = alerts(page(address))
        assert fact.startswith("No leader is up")
        assert "python manage.py dispatch" in remedy


def test_missing_migrations_and_what_to_do(page: Any, worker: int, leader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "migrations_missing", lambda: True)
    ((fact, remedy),) = alerts(page())
    assert fact == "The database is missing migrations of this version."
    assert "python manage.py migrate" in remedy


def test_a_slow_queue_and_one_that_nobody_serves(page: Any, worker: int, leader: None) -> None:
    enqueue(TASK, kwargs={"seconds": 1}, name="old")
    enqueue(TASK, kwargs={"seconds": 1}, queue="nobody")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET run_at = now() - interval '301 s', created_at = now() - interval '301 s' WHERE name = 'old'")
    for address in ("/", "/jobs/queues/"):
        unserved, slow = alerts(page(address))
        assert re.search("is slow: its oldest job has been waiting for 5:0", slow[0])
        assert "No worker serves the queue" in unserved[0]
        assert "-Q nobody" in unserved[1]
    assert "2 jobs are waiting. The oldest has been due for 5 min" in page("/jobs/queues/")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET run_at = now() - interval '200 s' WHERE name = 'old'")
    assert len(alerts(page())) == 1


def lanes_of(queue: str, digits: int) -> list[tuple[Any, ...]]:
    [line] = [line for line in queues.lines([]) if line.name == queue]
    return [(lane.priority, lane.waiting, lane.later, round(lane.oldest or 0, digits)) for lane in line.lanes]


def test_what_was_due_before_it_was_made_has_waited_since_then(page: Any, worker: int, leader: None) -> None:
    for made, due in ((100, 100), (40, 86_400), (0, 86_400), (-50, -50)):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO jobs_job (task, created_at, run_at) SELECT 't', now() - %s * interval '1 s', now() - %s * interval '1 s'",
                [made, due],
            )
    assert alerts(page()) == []
    assert re.search(r"The oldest has been due for 1 min and [45]\d s", page("/jobs/queues/"))
    assert 100 <= overview()["oldest_waiting"]["seconds"] < 160
    assert lanes_of("celery", -2) == [(5, 3, 1, 100)]


def test_jobs_that_were_made_too_late_do_not_hide_one_that_waits(page: Any, worker: int, leader: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, created_at, run_at) SELECT 't', now() - interval '1 h', now() - interval '1 h'")
        cursor.execute(
            "INSERT INTO jobs_job (task, run_at) SELECT 't', now() - interval '1 day' + n * interval '1 s' FROM generate_series(1, 150) n"
        )
    assert "The oldest has been due for 1 h" in page("/jobs/queues/")
    assert lanes_of("celery", -3) == [(5, 151, 0, 4000)]


def test_the_link_to_a_queue_leads_to_its_jobs_whatever_it_is_called(client: Client, page: Any, worker: int, leader: None) -> None:
    name = "a&status=failed#x؟ %41+"
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, queue) VALUES (%s, %s)", [TASK, name])
    for address in ("/", "/jobs/queues/"):
        links = [html.unescape(link) for link in re.findall(r'href="(/jobs/\?[^"]*queue=[^"]*)"', page(address))]
        assert len(links) == 3, "of the alert, of this queue, of the worker's own"
        assert {client.get(link).context["form"].data.dict()["queue"] for link in links} == {name, "celery"}


def test_dead_letters_need_a_person(page: Any, worker: int, leader: None) -> None:
    job_in("failed")
    ((fact, remedy),) = alerts(page())
    assert fact == "1 job failed for good and waits for a decision. It failed in the last 10 minutes."
    assert remedy.startswith("Read the error")


def test_one_new_failure_among_old_ones_is_not_said_to_go_on(page: Any, worker: int, leader: None) -> None:
    for _ in range(2):
        job_in("failed")
    DeadLetterQueue.objects.update(failed_at=F("failed_at") - timedelta(hours=1))
    job_in("failed")
    ((fact, _remedy),) = alerts(page())
    assert fact == "3 jobs failed for good and wait for a decision. 1 of them in the last 10 minutes."


@pytest.mark.parametrize("address", ["/", "/jobs/queues/", "/jobs/workers/"])
def test_each_overview_renews_itself_until_it_is_paused(page: Any, worker: int, address: str) -> None:
    assert f'hx-get="{address}"' in page(address)
    paused = page(f"{address}?live=off")
    assert 'id="go-on"' in paused
    assert f'id="live" hx-get="{address}"' not in paused
