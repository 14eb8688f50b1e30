"""A project with USE_TZ off, in a zone far from UTC: Django's times there have no zone, and are TIME_ZONE's."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import current_app
from celery.result import AsyncResult
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from jobs import control, enqueue, error_groups
from jobs.domain.statuses import State
from jobs.models import DeadLetterQueue, ErrorGroup, Job
from jobs.store import clock, short, transitions
from jobs.store.transitions import Run
from tests.flows import task
from tests.rows import job_in

pytestmark = pytest.mark.django_db
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture(autouse=True)
def _local_time(db: None, settings: Any) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    short.forget(connection)


def due_in(job: Job) -> float:
    """Seconds until a job is due, by PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM run_at - clock_timestamp())::float FROM jobs_job WHERE id = %s", [job.pk])
        return float(cursor.fetchone()[0])


def test_the_clock_says_its_zone() -> None:
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.parametrize(
    "options",
    [
        lambda hour: {"countdown": 3600},
        lambda hour: {"eta": hour},
        lambda hour: {"eta": hour.replace(tzinfo=None)},  # UTC: Celery has it so
        lambda hour: {"eta": hour.replace(tzinfo=None).isoformat()},
    ],
)
def test_a_call_is_due_when_it_says(options: Callable[[datetime], dict[str, Any]]) -> None:
    result = task("add").apply_async((1, 2), **options(datetime.now(UTC) + timedelta(hours=1)))
    assert 3300 < due_in(Job.objects.get(task_id=result.id)) <= 3601


def test_a_call_expires_when_it_says() -> None:
    result = task("add").apply_async((1, 2), expires=3600)
    expires = datetime.fromisoformat(Job.objects.get(task_id=result.id).options["headers"]["expires"])
    assert 3300 < (expires - datetime.now(UTC)).total_seconds() <= 3601


def test_enqueue_is_due_when_it_says() -> None:
    hour = timedelta(hours=1)
    for due in ({"delay": 3600}, {"run_at": timezone.now() + hour}, {"run_at": datetime.now(UTC) + hour}):
        assert 3300 < due_in(enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, **due)) <= 3601, due


def test_states_and_what_hangs_on_them() -> None:
    waiting = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=3600)
    held = job_in("running")
    with connection.cursor() as cursor:
        assert transitions.replace(cursor, Run(id=held.pk, runs=1))
    assert [job_in("pending").state, *(Job.objects.get(pk=job.pk).state for job in (waiting, held))] == [
        State.QUEUED, State.SCHEDULED, State.REPLACED,
    ]  # fmt: skip
    control.cancel([waiting.pk], by="sara")
    assert control.restore([waiting.pk], by="sara").done == [waiting.pk]
    assert 3300 < due_in(waiting) <= 3601


def test_a_result_says_when_it_was_done() -> None:
    done = AsyncResult(job_in("completed").task_id, app=current_app).date_done
    assert abs(done - datetime.now(UTC)) < timedelta(seconds=30)


def test_commands() -> None:
    hour = (datetime.now(TOKYO) + timedelta(hours=1)).replace(tzinfo=None)
    out = StringIO()
    call_command("enqueue", "jobs.tasks.sleep", "--kwargs", '{"seconds": 0}', "--run_at", hour.isoformat(), stdout=out)
    assert 3300 < due_in(Job.objects.get(pk=int(out.getvalue()))) <= 3601
    with pytest.raises(CommandError):
        call_command("enqueue", "jobs.tasks.sleep", "--run_at", (hour - timedelta(hours=2)).isoformat())
    job_in("pending")
    call_command("jobs", "--json", stdout=(out := StringIO()))
    assert datetime.fromisoformat(json.loads(out.getvalue())["oldest_waiting"]["run_at"]) < datetime.now(UTC)


def test_every_page_answers(sara: Client) -> None:
    made = [job_in(status).pk for status in ("completed", "failed", "cancelled", "pending", "running")]
    made.append(enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=7200).pk)
    entry = DeadLetterQueue.objects.get(job=made[1])
    error_groups.snooze([entry.fingerprint], clock.now() + timedelta(hours=2), by="sara")
    pages = [
        "/", "/?hours=168", "/jobs/", "/jobs/create/", f"/jobs/create/?again={made[0]}", "/jobs/dead-letters/", "/jobs/queues/",
        "/jobs/workers/", "/jobs/types/", "/jobs/batches/", "/jobs/audit/", f"/jobs/dead-letters/group/{entry.fingerprint}/",
        "/jobs/?since=2020-01-01T00:00&until=2020-01-02T00:00", *(f"/jobs/{number}/" for number in made),
        "/admin/jobs/job/", "/admin/jobs/job/add/", "/admin/jobs/deadletterqueue/", "/admin/jobs/audit/",
        *(f"/admin/jobs/job/{number}/change/" for number in made), f"/admin/jobs/deadletterqueue/{entry.pk}/change/",
    ]  # fmt: skip
    answers = {page: sara.get(page).status_code for page in pages}
    assert {page: status for page, status in answers.items() if status != 200} == {}


def test_times_are_shown_and_read_in_the_zone_of_the_visitor(sara: Client) -> None:
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, delay=7200)
    for zone in (TOKYO, ZoneInfo("America/New_York")):
        if zone is not TOKYO:
            sara.cookies["timezone"] = str(zone)
        shown = datetime.now(UTC).astimezone(zone)
        [told] = set(re.findall(r'<time datetime="([^"]+)"', sara.get("/jobs/").content.decode()))
        assert datetime.fromisoformat(told).utcoffset() == shown.utcoffset()
        assert abs(datetime.fromisoformat(told) - shown) < timedelta(minutes=1)
        assert f"{(shown + timedelta(hours=2)):%H:}" in sara.get(f"/jobs/{job.pk}/").content.decode()
        minute = timedelta(minutes=1)
        for since, found in ((shown - 2 * minute, True), (shown + 2 * minute, False)):
            page = sara.get("/jobs/", {"since": f"{since:%Y-%m-%dT%H:%M}"}).content.decode()
            assert (f'href="/jobs/{job.pk}/' in page) is found, (zone, since)


def test_forms_read_times_in_the_zone_of_the_visitor(sara: Client) -> None:
    sara.cookies["timezone"] = "America/New_York"
    hour = datetime.now(ZoneInfo("America/New_York")) + timedelta(hours=1)
    data = {"task": "jobs.tasks.sleep", "name": "", "args": "[]", "kwargs": '{"seconds": 0}', "priority": 5, "max_retries": 3, "queue": ""}
    page = sara.post("/admin/jobs/job/add/", data | {"run_at": f"{hour:%Y-%m-%dT%H:%M}"})
    assert page.status_code == 302, page.content.decode()[-3000:]
    assert 3300 < due_in(Job.objects.get()) <= 3601
    past = hour - timedelta(hours=2)
    assert sara.post("/admin/jobs/job/add/", data | {"run_at": f"{past:%Y-%m-%dT%H:%M}"}).status_code == 200


def test_a_snooze_lasts_as_long_as_it_says(sara: Client) -> None:
    entry = DeadLetterQueue.objects.get(job=job_in("failed"))
    address = f"/jobs/dead-letters/group/{entry.fingerprint}/"
    assert sara.post(f"{address}snooze/", {"until_when": "1"}).status_code == 302
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM snoozed_until - clock_timestamp())::float FROM jobs_errorgroup")
        assert 3300 < cursor.fetchone()[0] <= 3601
    until = ErrorGroup.objects.get().snoozed_until
    assert until is not None
    assert f"{until:%H:%M}" in sara.get(address).content.decode()
    assert sara.post(f"{address}snooze/", {"until_when": "end"}).status_code == 302
    assert ErrorGroup.objects.get().snoozed_until is None


def test_an_export_has_utc(sara: Client) -> None:
    job_in("completed")
    answer: Any = sara.get("/jobs/export/", {"format": "json"})
    [row] = json.loads(b"".join(answer.streaming_content))
    for name in ("created_at", "run_at", "started_at", "finished_at"):
        assert row[name].endswith("+00:00")
        assert abs(datetime.fromisoformat(row[name]) - datetime.now(UTC)) < timedelta(minutes=1), name
