"""Nonsense and malice, at every door: an answer that says what is wrong, nothing stored, nothing run in anybody's browser."""

import html
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import group
from celery.utils.time import maybe_iso8601
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone, translation

from jobs import dead_letters, enqueue, enqueue_many
from jobs.domain.statuses import LATEST
from jobs.enqueueing import InvalidJob
from jobs.models import DeadLetterQueue, ErrorGroup, Job, Worker
from jobs.store import transitions
from jobs.store.transitions import Failure, Run
from jobs.tasks import sleep
from jobs.web.choices import ZONE_COOKIE
from tests.rows import index_everything, job_in

pytestmark = pytest.mark.django_db
FIRST = datetime(1, 1, 1, tzinfo=timezone.get_fixed_timezone(14 * 60))  # before the year 1 in UTC
LAST = datetime(9999, 12, 31, 23, 59, tzinfo=timezone.get_fixed_timezone(-12 * 60))  # after the year 9999
SCRIPT = '"><script>alert(1)</script>'
NO_PAIRS = [(0,), [0], 0, None, {"args": [0]}, {"args": [0], "kwargs": {}}, ((0,), {}, 1), "ab", ((0,), [1])]  # of args and kwargs
ADD = {
    "task": "jobs.tasks.fail", "name": "", "args": "[]", "kwargs": "{}", "priority": "5", "max_retries": "3", "run_at": "", "queue": "",
    "attempt_set-TOTAL_FORMS": "0", "attempt_set-INITIAL_FORMS": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        ({"task": "no.such.task"}, "task", "no task named “no.such.task”"),
        ({"task": None}, "task", "no task named"),
        ({"args": "abc"}, "args", "must be a list"),
        ({"args": {"a": 1}}, "args", "must be a list"),
        ({"kwargs": [1]}, "kwargs", "an object with text keys"),
        ({"kwargs": {1: 2}}, "kwargs", "an object with text keys"),
        ({"kwargs": {"mesage": "x"}}, "kwargs", "do not fit the task"),
        ({"args": ["a", "b"]}, "args", "too many positional arguments"),
        ({"args": ["a"], "kwargs": {"message": "b"}}, "kwargs", "do not fit the task"),
        ({"kwargs": {"message": 5}}, "kwargs", "message: Enter text."),
        ({"args": [object()]}, "args", "cannot be stored as JSON"),
        ({"args": [float("nan")]}, "args", "cannot be stored as JSON"),
        ({"args": ["\ud800"]}, "args", "cannot be stored as JSON"),
        *[({"args": [text]}, "args", "JOBS_MAX_ARGUMENT_BYTES") for text in ("x" * 300_000, "م" * 132_000, "😀" * 66_000)],
        ({"kwargs": {"message": "x" * 300_000}}, "kwargs", "JOBS_MAX_ARGUMENT_BYTES"),
        *[({"created_by": value}, "created_by", "not an account") for value in ("sara", 7)],
        *[({"priority": value}, "priority", "from 0 to 9") for value in (10, -1, "high", 5.0, True, None)],
        *[({"max_retries": value}, "max_retries", "from 0 to 10000") for value in (-1, "3", 1.5, True, 10_001)],
        *[({"timeout": value}, "timeout", "from 1 to 2147483647") for value in (0, -5, "long", 2**31)],
        *[({"delay": value}, "delay", "from 0 to 315360000") for value in (-1, "soon", float("nan"), float("inf"), 315_360_001)],
        *[({"run_at": value}, "run_at", "not a date") for value in ("soon", 5, timedelta(1))],
        *[({"run_at": value}, "run_at", "1900 and 9997") for value in (FIRST, LAST)],
        *[({"name": value}, "name", reason) for value, reason in [(5, "text"), ("a\0b", "Null"), ("x" * 256, "255")]],
        *[({"task": signature}, "task", "signature") for signature in (sleep.s(1), group([sleep.s(1)]))],
        ({"name": "a\u202eb"}, "name", "direction"),
        *[({name: "a\ud800b"}, name, "UTF-8") for name in ("name", "queue", "unique_key")],
        *[({"queue": value}, "queue", reason) for value, reason in [("", "Name"), ("a\0b", "Null"), ("x" * 101, "100"), (7, "text")]],
        *[({"queue": value}, "queue", "Control") for value in ("a\x1b[31mb", "a\nb", "a\x7f", "a\x85b")],
        *[({"unique_key": value}, "unique_key", reason) for value, reason in [("a\0b", "Null"), ("x" * 256, "255"), (7, "text")]],
    ],
)  # fmt: skip
def test_enqueue_names_the_field_and_stores_nothing(options: dict[str, Any], field: str, reason: str) -> None:
    with translation.override("en"), pytest.raises(InvalidJob) as caught:
        enqueue(**({"task": "jobs.tasks.fail"} | options))
    assert list(caught.value.error_dict) == [field]
    assert reason in " ".join(caught.value.message_dict[field])
    assert not Job.objects.exists()


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("call", NO_PAIRS, ids=str)
def test_enqueue_many_refuses_what_is_no_pair(call: Any, later: bool) -> None:
    with pytest.raises(InvalidJob):
        enqueue_many(sleep, [((0,), {})] * later + [call])
    assert not Job.objects.exists()


@pytest.mark.parametrize("more", [{"names": ["b"]}, {"priorities": [5]}])
def test_enqueue_many_refuses_names_and_priorities_without_calls(more: dict[str, Any]) -> None:
    assert enqueue_many(sleep, [], names=[], priorities=[]) == []
    with pytest.raises(ValueError, match="1 for 0 calls"):
        enqueue_many(sleep, [], **more)


@pytest.mark.parametrize("text", ["x" * 262_000, "م" * 131_000, "😀" * 65_000, "م\\u" * 52_000])
def test_arguments_are_measured_as_their_letters_in_utf_8(text: str) -> None:
    assert enqueue("jobs.tasks.fail", args=[text]).args == [text]


def test_a_job_may_be_nobodys() -> None:
    assert [enqueue("jobs.tasks.fail", created_by=nobody).created_by for nobody in (None, AnonymousUser())] == [None, None]


@pytest.mark.parametrize(
    "columns",
    [
        {"priority": 10}, {"priority": -1}, {"max_retries": -1}, {"timeout": 0}, {"attempts": 1}, {"losses": -1},
        {"status": "done"}, {"status": "running"}, {"status": "completed"},
        {"run_at": "infinity"}, {"run_at": "-infinity"}, {"run_at": "9999-01-01 00:00:01+0"}, {"run_at": "1899-12-31 23:59+0"},
    ],
)  # fmt: skip
def test_the_database_refuses_a_row_that_cannot_be(columns: dict[str, Any]) -> None:
    names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    with pytest.raises(DatabaseError, match="jobs_job_"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO jobs_job (task, {names}) VALUES ('jobs.tasks.fail', {marks})", list(columns.values()))
    assert not Job.objects.exists()


def past() -> str:
    return (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", "no.such.task"), ("args", "[1"), ("args", '{"a": 1}'), ("kwargs", "[]"), ("kwargs", '{"mesage": "x"}'),
        ("kwargs", '{"message": 5}'), ("args", '["' + "x" * 300_000 + '"]'), ("priority", "10"), ("priority", "-1"), ("priority", "high"),
        ("max_retries", "-1"), ("max_retries", "10000000"), ("run_at", "soon"), ("run_at", "past"), ("run_at", "9999-12-31T23:59"),
        ("name", "a\0b"), ("name", "a\u202eb"),
        ("name", "x" * 10_000), ("queue", "x" * 101), ("queue", "a\0b"),
    ],
)  # fmt: skip
def test_the_admin_says_what_is_wrong_and_stores_nothing(sara: Client, field: str, value: str) -> None:
    answer = sara.post("/admin/jobs/job/add/", ADD | {field: past() if value == "past" else value})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("argument-message", "a\0b"), ("argument-message", "x" * 300_000), ("when", SCRIPT), ("token", SCRIPT), ("at", "9999-12-31T23:59")],
)
def test_the_form_refuses_it_too(sara: Client, name: str, value: str) -> None:
    page = sara.get("/jobs/create/?task=jobs.tasks.fail").content.decode()
    token = page.split('name="token" value="')[1].split('"')[0]
    given = {"task": "jobs.tasks.fail", "argument-message": "m", "priority": "5", "max_retries": "3", "when": "now", "queue": "celery"}
    sara.cookies[ZONE_COOKIE] = "America/New_York"
    answer = sara.post("/jobs/create/", given | {"token": token, "when": "at" if name == "at" else "now", name: value})
    assert answer.status_code == 422
    assert SCRIPT not in answer.content.decode()
    assert not Job.objects.exists()


def everywhere() -> tuple[int, int]:
    """Markup in every text that comes from people, tasks or workers; the numbers of the job and of its dead letter."""
    job = enqueue("jobs.tasks.fail", args=[SCRIPT], name=SCRIPT, queue=SCRIPT, unique_key=SCRIPT)
    other = enqueue("jobs.tasks.fail", kwargs={"message": SCRIPT}, name=SCRIPT, queue=SCRIPT)
    failure = Failure(error_class=SCRIPT, message=SCRIPT, traceback=SCRIPT)
    texts = dict.fromkeys(("name", "hostname", "pool"), SCRIPT)
    worker = Worker.objects.create(**texts, pid=1, concurrency=4, queues=[SCRIPT], tasks=[SCRIPT], versions={SCRIPT: SCRIPT})
    with connection.cursor() as cursor:
        for row in (job, other):
            assert transitions.claim(cursor, Run(id=row.id, runs=1), task_id=row.task_id, worker=worker.pk, queue=SCRIPT, priority=5)
        assert transitions.report_progress(cursor, Run(id=other.id, runs=1), '{"fraction": 0.5, "message": "<script>alert(1)</script>"}')
        assert transitions.bury(cursor, Run(id=job.id, runs=1), failure, task=SCRIPT)
    entry = DeadLetterQueue.objects.get(job=job)
    DeadLetterQueue.objects.filter(id=entry.id).update(notify_error=SCRIPT)
    ErrorGroup.objects.create(fingerprint=entry.fingerprint, owner=SCRIPT)
    return job.id, entry.id


@pytest.mark.parametrize("language", ["ar", "en"])
def test_markup_is_shown_and_never_run(sara: Client, language: str) -> None:
    job, entry = everywhere()
    sara.cookies["django_language"] = language
    shown = 0
    for address in (
        "/", "/jobs/", f"/jobs/{job}/", "/jobs/dead-letters/", "/jobs/queues/", "/jobs/workers/", "/jobs/audit/", "/admin/jobs/job/",
        f"/admin/jobs/job/{job}/change/", "/admin/jobs/deadletterqueue/", f"/admin/jobs/deadletterqueue/{entry}/change/",
    ):  # fmt: skip
        content = sara.get(address).content.decode()
        assert "<script>alert" not in content, address
        shown += html.escape("<script>alert") in content
    assert shown >= 8
    assert dead_letters.resolve([entry], SCRIPT, SCRIPT).done == [entry]
    for address in ("/jobs/dead-letters/?show=resolved", "/jobs/audit/", f"/admin/jobs/deadletterqueue/{entry}/change/"):
        assert "<script>alert" not in sara.get(address).content.decode(), address


@pytest.mark.parametrize(
    "query",
    [
        "q=%00", "q=" + "x" * 5000, "q=" + SCRIPT, "status=nonsense", "status=" + SCRIPT, "queue=%00", "task=" + SCRIPT, "before=abc",
        "before=-1", "after=99999999999999999999", "before=%D9%A1", "show=" + SCRIPT, "group=" + SCRIPT, "page=0", "hours=x", "hours=-1",
    ],
)  # fmt: skip
def test_nonsense_in_an_address_is_answered(sara: Client, query: str) -> None:
    for page in ("/", "/jobs/", "/jobs/dead-letters/", "/jobs/audit/", "/jobs/queues/"):
        answer = sara.get(f"{page}?{query}")
        assert answer.status_code == 200, page
        assert SCRIPT not in answer.content.decode()


@pytest.mark.parametrize("number", ["0", "999999999", "99999999999999999999999"])
def test_a_job_that_is_not_there(sara: Client, number: str) -> None:
    assert sara.get(f"/jobs/{number}/").status_code == 404
    assert sara.post(f"/jobs/{number}/cancel/").status_code in (302, 404)
    assert sara.post(f"/jobs/{number}/reprocess/").status_code in (302, 404)
    assert sara.post(f"/jobs/{number}/priority/", {"priority": "5"}).status_code in (302, 404, 422)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"action": "explode", "entry": "1"}, {"action": "resolve", "entry": "x"},
        {"action": "resolve", "entry": "99999999999999999999"}, {"action": "resolve", "entry": "1", "note": "a\0b"},
        {"action": "resolve", "entry": "1", "note": "x" * 10_000}, {"action": "reprocess", "entry": "-1"},
    ],
)  # fmt: skip
def test_nonsense_about_dead_letters_changes_nothing(sara: Client, given: dict[str, str]) -> None:
    everywhere()
    before = list(DeadLetterQueue.objects.values())
    assert sara.post("/jobs/dead-letters/act/", given).status_code in (302, 400)
    assert list(DeadLetterQueue.objects.values()) == before


@pytest.mark.parametrize(
    "text", ["[" * 5_000 + "]" * 5_000, "[" * 960 + "]" * 960, f"[{'1' * 5_000}]", "5", '"x"', '{"headers": [], "embed": 7}']
)
@pytest.mark.parametrize("columns", [("args",), ("kwargs",), ("result", "result_meta", "options", "progress")])
def test_json_that_nobody_can_use_costs_only_its_own_job(sara: Client, text: str, columns: tuple[str, ...]) -> None:
    bad, good = [job_in("failed", name=f"many {number}") for number in range(2)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE jobs_job SET {', '.join(f'{name} = %s' for name in columns)} WHERE id = %s", [*[text] * len(columns), bad.pk]
        )
    entry = DeadLetterQueue.objects.get(job=bad)
    found = "/jobs/?q=many"
    assert {job.pk for job in sara.get(found).context["page"].rows} == {bad.pk, good.pk}
    index_everything()
    assert {job.pk for job in sara.get(found).context["page"].rows} == {bad.pk, good.pk}
    for address in (
        f"/jobs/{bad.pk}/", "/", "/jobs/?error=ValueError", "/jobs/dead-letters/?q=many", f"/jobs/dead-letters/group/{entry.fingerprint}/",
        "/jobs/dead-letters/reprocess/", f"/jobs/create/?from={bad.pk}", "/jobs/export/", "/jobs/export/?format=json", "/admin/jobs/job/",
        f"/admin/jobs/job/{bad.pk}/change/", f"/admin/jobs/deadletterqueue/{entry.pk}/change/",
    ):  # fmt: skip
        answer = sara.get(address)
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert (answer.status_code, len(content) > 0) == (200, True), address
    assert dead_letters.reprocess([entry.pk], "sara").done == [entry.pk]


@pytest.mark.parametrize("eta", [FIRST, LAST, FIRST.isoformat(), LAST.isoformat()])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_a_time_that_no_clock_shows_is_the_nearest_that_one_does(sara: Client, eta: datetime | str, zone: str) -> None:
    sara.cookies[ZONE_COOKIE] = zone
    sent = Job.objects.get(task_id=sleep.apply_async(kwargs={"seconds": 0}, eta=eta).id)
    again = job_in("running")
    with connection.cursor() as cursor:
        moment = maybe_iso8601(eta)
        transitions.retry(cursor, Run(id=again.pk, runs=1), Failure(error_class="ValueError", message="no"), delay=0, run_at=moment)
    years = {job.run_at.year for job in Job.objects.filter(pk__in=[sent.pk, again.pk])}
    assert years == ({1900} if moment.year == 1 else {9998})
    pages = ["/jobs/", f"/jobs/{sent.pk}/", f"/jobs/{again.pk}/", "/jobs/queues/"]
    for address in (*pages, "/admin/jobs/job/", f"/admin/jobs/job/{sent.pk}/change/"):
        assert sara.get(address).status_code == 200


def test_half_a_character_that_a_plain_insert_brought_breaks_no_page(sara: Client) -> None:
    odd = '{"\\ud800": "\\udc00 x", "order": "\\ud800", "n": 1e400}'
    with connection.cursor() as cursor:
        jobs = [job_in("failed", name=f"odd {number}") for number in range(2)]
        cursor.execute(
            "UPDATE jobs_job SET kwargs = %s, args = %s, progress = %s", [odd, '["\\ud800"]', '{"fraction": 0.5, "message": "\\ud800"}']
        )
    entry = DeadLetterQueue.objects.latest("id")
    for address in (
        f"/jobs/{jobs[0].pk}/", "/jobs/", "/jobs/dead-letters/", f"/jobs/dead-letters/group/{entry.fingerprint}/",
        "/jobs/dead-letters/reprocess/", f"/jobs/create/?from={jobs[0].pk}", "/jobs/export/", "/jobs/export/?format=json",
        f"/admin/jobs/job/{jobs[0].pk}/change/",
    ):  # fmt: skip
        answer = sara.get(address)
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert (answer.status_code, len(content) > 0) == (200, True), address


def test_a_pause_that_no_clock_reaches_the_end_of_is_the_longest_that_one_does() -> None:
    job = job_in("running")
    with connection.cursor() as cursor:
        assert transitions.retry(cursor, Run(id=job.pk, runs=1), Failure(error_class="ValueError", message="no"), delay=1e12)
    job.refresh_from_db()
    assert (job.status, job.run_at) == ("pending", LATEST)
