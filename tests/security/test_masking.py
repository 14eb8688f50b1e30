"""Secrets among the arguments: shown nowhere, kept in the row, given to the task."""

import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.result import AsyncResult
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError
from django.db import connection
from django.test import Client
from django.utils import timezone

from jobs import enqueue, masking
from jobs.celery_app import process_engine, settle
from jobs.domain import words
from jobs.leader import notices, publish
from jobs.management.commands.enqueue import Command
from jobs.models import DeadLetterQueue, Job
from jobs.store import engine, search, transitions
from jobs.store.transitions import Failure, Run
from jobs.worker import inspection
from tests.mail_server import Inbox, free_port, mail_server
from tests.rows import index_everything, inserted, job_in
from tests.waiting import until
from tests.workers import running_worker

SECRET = "Zk7-unmistakable"


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def test_arguments_are_hidden_by_their_names_however_deep() -> None:
    assert masking.named({"url": "x", "headers": {"Authorization": f"Bearer {SECRET}"}}) == {
        "url": "x",
        "headers": {"Authorization": "***"},
    }
    assert masking.named({"a": [{"db_PASSWORD": SECRET}, f"https://h/?token={SECRET}"]}) == {
        "a": [{"db_PASSWORD": "***"}, "https://h/?token=***"]
    }
    command = ["loaddata", "--api-key", SECRET, "--verbose", "--token", "--x", "y", f"--secret={SECRET}", "--password"]
    shown = ["loaddata", "--api-key", "***", "--verbose", "--token", "--x", "y", "--secret=***", "--password"]
    assert masking.named({"args": command}) == {"args": shown}
    assert masking.positional("jobs.tasks.management_command", ["loaddata", command])[1] == shown
    assert masking.named({"password": None, "number": 1}) == {"password": None, "number": 1}
    assert masking.positional("t.login", ["sara", SECRET]) == ["sara", "***"]
    assert masking.positional("nobody.knows", ["sara", SECRET]) == ["sara", SECRET]


def test_the_patterns_can_be_set(settings: Any) -> None:
    settings.JOBS_SECRET_PATTERNS = ["iban"]
    assert masking.named({"IBAN": "DE1", "password": "seen"}) == {"IBAN": "***", "password": "seen"}
    settings.JOBS_SECRET_PATTERNS = []
    assert masking.named({"token": "seen"}) == {"token": "seen"}


@pytest.mark.parametrize(
    "text",
    [
        f'File "x.py", line 3\n    login(user, password="{SECRET}")\nValueError: refused',
        f"refused: {{'token': '{SECRET}', 'user': 'sara'}}", f"401 for Authorization: Bearer {SECRET}",
        f'{{"api_key": "{SECRET}", "n": 1}}',
        f"cannot reach postgres://jobs:{SECRET}@db.example/jobs", f"GET https://h.example/?access_token={SECRET}&page=2 failed",
        f'{{\\"password\\": \\"{SECRET}\\"}}',
    ],
)  # fmt: skip
def test_texts_do_not_show_what_follows_a_telling_name(text: str) -> None:
    shown = masking.text(text)
    assert SECRET not in shown
    assert "***" in shown


def test_texts_without_such_a_name_stay_as_they_are() -> None:
    text = "ValueError: 3 of 4 rows\n  at https://example.com/a?b=c"
    assert masking.text(text) == text


def test_what_flower_shows_is_masked_and_the_body_is_not() -> None:
    row = publish.Row(
        id=1, task_id="x", task="t.login", args=f'["sara", "{SECRET}"]', kwargs=f'{{"token": "{SECRET}", "to": "y"}}', runs=0, attempts=0,
        max_retries=3, timeout=None, autoretry=True, options=None, priority=5,
    )  # fmt: skip
    message = json.loads(publish.message(row, ("celery", 4)))
    assert message["headers"]["argsrepr"] == "('sara', '***')"
    assert message["headers"]["kwargsrepr"] == "{'token': '***', 'to': 'y'}"
    assert message["body"].count(SECRET) == 2
    deep = replace(row, args=json.dumps(["x" * 150_000, SECRET]), kwargs=json.dumps({"to": ["y"] * 2_000, "token": {"old": SECRET}}))
    headers = json.loads(publish.message(deep, ("celery", 4)))["headers"]
    assert headers["argsrepr"] == f"('{'x' * 198}"
    assert SECRET not in headers["kwargsrepr"]
    early = replace(row, args=json.dumps(["sara", SECRET, "x" * 150_000]))
    assert json.loads(publish.message(early, ("celery", 4)))["headers"]["argsrepr"] == "('sara', '***', '***')"
    for text in (json.dumps(["sara", SECRET, "x" * 300_000]), f'["sara", "{SECRET}", {"9" * 5_000}]', f'["sara", "{SECRET}"'):
        assert json.loads(publish.message(replace(row, args=text), ("celery", 4)))["headers"]["argsrepr"] == "…"
    long = replace(row, kwargs='{"a": "' + "x" * 20_000 + '", "password": "' + SECRET * 2_000 + '"}')
    early = replace(row, kwargs='{"password": "' + SECRET * 2_000 + '"}')
    for each in (long, early):
        assert SECRET not in json.loads(publish.message(each, ("celery", 4)))["headers"]["kwargsrepr"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [f"ValueError: boom token={SECRET}", f"ValueError: first line\nand  password: {SECRET}"])
def test_who_waits_for_a_job_reads_no_secret(error: str) -> None:
    job = job_in("failed")
    Job.objects.filter(id=job.id).update(last_error=error)
    with pytest.raises(CommandError, match=rf"{job.id} .*: ValueError: .*\*\*\*") as raised:
        Command()._wait([job.id])
    assert SECRET not in str(raised.value)


@pytest.mark.django_db(transaction=True)
def test_a_failing_job_shows_its_secret_nowhere(tmp_path: Path, settings: Any, client: Client) -> None:
    """The task raises an error that repeats its arguments; looked for in the worker's log, the pages, the admin, the mail."""
    log = tmp_path / "log"
    with running_worker(log):
        job = enqueue("t.login", args=["sara", SECRET], kwargs={"token": SECRET}, max_retries=0)
        until(lambda: Job.objects.get(id=job.id).status == "failed", timeout=30)
    row = Job.objects.get(id=job.id)
    assert row.args == ["sara", SECRET]
    assert row.kwargs == {"token": SECRET}
    assert SECRET in row.last_error, "the row keeps everything"
    assert "LoginRefused" in log.read_text()
    assert "CRITICAL" in log.read_text()
    assert SECRET not in log.read_text()
    entry = DeadLetterQueue.objects.get(job=row)
    client.force_login(get_user_model().objects.create_superuser("sara", password="x"))
    for address in (
        f"/jobs/{row.id}/", "/jobs/", "/jobs/dead-letters/", f"/jobs/dead-letters/group/{entry.fingerprint}/",
        f"/admin/jobs/job/{row.id}/change/",
        "/admin/jobs/job/", f"/admin/jobs/deadletterqueue/{entry.id}/change/", "/admin/jobs/deadletterqueue/", "/jobs/export/?format=json",
        "/jobs/export/?format=csv",
    ):  # fmt: skip
        answer = client.get(address)
        assert answer.status_code == 200, address
        page = b"".join(answer) if answer.streaming else answer.content
        assert SECRET.encode() not in page, address
        assert b"LoginRefused" in page or address == "/admin/jobs/job/", address
    _mail_is_clean(settings)


@pytest.mark.django_db
def test_who_inspects_what_is_due_later_sees_no_secret() -> None:
    enqueue("t.login", args=["sara", SECRET], run_at=timezone.now() + timedelta(hours=1))
    app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={"celery": None})))
    with connection.cursor() as cursor:
        process_engine.use(SimpleNamespace(write=lambda change: change(cursor)))  # type: ignore[arg-type]
        try:
            (found,) = inspection.scheduled(SimpleNamespace(app=app, hostname="h"))
        finally:
            process_engine.use(None)
    assert (found["request"]["args"], found["request"]["kwargs"]) == (["sara", "***"], {})


@pytest.mark.django_db
def test_results_and_progress_are_masked_and_kept(client: Client) -> None:
    result = {"seen": 1, "token": SECRET, "tokens": [SECRET, SECRET], "auth": {"password": {"v": SECRET}}, "text": f"api-key={SECRET}"}
    done, job = enqueue("t.login", args=["sara", "x"]), enqueue("t.login", args=["sara", "x"])
    with connection.cursor() as cursor:
        for each in (done, job):
            run = Run(id=each.id, runs=1)
            assert transitions.claim(cursor, run, task_id=each.task_id, worker=1, queue=each.queue, priority=each.priority)
            assert transitions.report_progress(cursor, run, json.dumps({"fraction": 0.5, "message": f"half, token={SECRET}"}))
        assert transitions.complete(cursor, Run(id=done.id, runs=1), result=json.dumps(result))
    client.force_login(get_user_model().objects.create_superuser("sara", password="x"))
    pages = {done.id: "seen", job.id: "half"}
    addresses = [
        (f"{path}{id}{end}", text) for id, text in pages.items() for path, end in (("/jobs/", "/"), ("/admin/jobs/job/", "/change/"))
    ]
    for address, text in (*addresses, ("/jobs/export/?format=json", "seen"), ("/jobs/export/?format=csv", "seen")):
        answer = client.get(address)
        page = (b"".join(answer) if answer.streaming else answer.content).decode()
        assert text in page, address
        assert "***" in page, address
        assert SECRET not in page, address
    assert Job.objects.get(id=done.id).result == result
    assert AsyncResult(done.task_id).result == result


def _mail_is_clean(settings: Any) -> None:
    port = free_port()
    with mail_server(port, Inbox()) as inbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
        settings.ADMIN_EMAILS = ["admin@example.com"]
        own = engine.connect("jobs notices")
        try:
            with own.cursor() as cursor:
                cursor.execute(
                    """UPDATE jobs_deadletterqueue SET failed_at = failed_at - interval '1 minute', notify_after = now(),
                              notified_at = NULL, notify_error = ''"""
                )
            assert notices.send_due(own) == 1
        finally:
            own.close()
        assert len(inbox.mails) == 1
    assert "LoginRefused" in inbox.body(0)
    assert SECRET not in inbox.body(0) + str(inbox.mails[0][1])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given",
    [
        {"args": ["sara", f"{SECRET} {'x ' * 10_000}"]},
        {"args": ["sara", {"a": f"{SECRET} {'x ' * 10_000}"}]},
        {"args": ["sara", ""], "kwargs": {"token": {"a": [SECRET, "x" * 20_000]}}},
        {"args": ["sara" + " x" * 4_970 + f" http://a:{SECRET}{'x' * 300}@b/", ""]},
        {"args": [["sara", "x " * 4_970, f"http://a:{SECRET}{'x' * 300}@b/"], ""]},
    ],
    ids=["placed", "placed within", "named within", "cut within an address", "cut within a short text"],
)
def test_a_secret_within_long_arguments_cannot_be_searched_for(given: dict[str, Any]) -> None:
    job = inserted("t.login", **given)
    index_everything()
    assert search.find(words.query("sara"), masking.positional).numbers == [job]
    with connection.cursor() as cursor:
        cursor.execute("SELECT words::text FROM jobs_search WHERE job = %s", [job])
        found = cursor.fetchone()[0]
    assert not any(word.lower() in found for word in words.words(SECRET))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given", [{"args": ["sara", ""], "kwargs": {"token": SECRET}}, {"args": ["sara", SECRET]}], ids=["named", "placed"]
)
def test_a_secret_cannot_be_searched_for(given: dict[str, Any]) -> None:
    job = enqueue("t.login", **given)
    assert search.find(words.query("sara"), masking.positional).numbers == [job.id]
    assert search.find(words.query(SECRET), masking.positional).numbers == []
    with connection.cursor() as cursor:
        assert search.fill(cursor, masking.positional) == 1
    assert search.find(words.query("sara"), masking.positional).numbers == [job.id]
    assert search.find(words.query(SECRET), masking.positional).numbers == []


GUESSES = ("startswith", "icontains", "contains", "gt", "regex", "exact")


@pytest.mark.django_db
def test_nobody_guesses_a_secret_in_the_admin(client: Client) -> None:
    """Whoever may look at the lists could try letter after letter; a filter, the search or an order that finds more would tell him."""
    job = enqueue("jobs.tasks.fail", kwargs={"message": f"password={SECRET}"}, max_retries=0)
    failure = Failure(error_class="LoginRefused", message=f"sara refused, token={SECRET}", traceback=f"password={SECRET}")
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, Run(id=job.id, runs=1), task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        assert transitions.bury(cursor, Run(id=job.id, runs=1), failure, task=job.task)
    viewer = get_user_model().objects.create_user("vera", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=("view_job", "view_deadletterqueue", "view_audit")))
    client.force_login(viewer)
    hidden = {
        "job": ("kwargs", "kwargs__message", "last_error", "attempt_set__message", "dead_letters__traceback"),
        "deadletterqueue": ("message", "traceback", "job__kwargs__message", "job__last_error"),
        "audit": ("note", "before"),
    }
    for name, columns in hidden.items():
        for lookup in (f"{column}__{guess}" for column in columns for guess in GUESSES):
            assert client.get(f"/admin/jobs/{name}/", {lookup: SECRET}).status_code == 400, (name, lookup)
    for name, words_of_it in {"job": "", "deadletterqueue": "sara loginrefused"}.items():
        found = client.get(f"/admin/jobs/{name}/", {"q": words_of_it}).context["cl"].result_count
        assert (found, client.get(f"/admin/jobs/{name}/", {"q": SECRET[:4]}).context["cl"].result_count) == (1, 0), name


@pytest.mark.django_db
def test_lists_of_the_admin_have_the_filters_and_the_order_that_they_show(client: Client) -> None:
    first, second = job_in("failed", priority=3), job_in("failed", priority=5)
    client.force_login(get_user_model().objects.create_superuser("sara", password="x"))
    for address, parameters in {
        "job": ({"status__exact": "failed"}, {"priority": "3", "queue": first.queue}, {"created_at__gte": "2020-01-01 00:00:00+00:00"}),
        "deadletterqueue": ({"resolution__exact": "open", "q": str(first.pk)}, {"failed_at__gte": "2020-01-01 00:00:00+00:00"}),
    }.items():
        found = [client.get(f"/admin/jobs/{address}/", each).context["cl"].result_count for each in parameters]
        assert found == ([2, 1, 2] if address == "job" else [1, 2])
    for order, wanted in {"1": [first.pk, second.pk], "5": [second.pk, first.pk], "-5": [second.pk, first.pk]}.items():
        rows = client.get("/admin/jobs/job/", {"o": order}).context["cl"].result_list
        assert [row.pk for row in rows] == wanted, order


@pytest.mark.parametrize("name", ["celery.app.trace", "celery.worker.request", "celery.backends.base", settle.logger.name])
def test_what_writes_the_errors_of_tasks_to_the_log_is_masked(caplog: pytest.LogCaptureFixture, name: str) -> None:
    logger = logging.getLogger(name)
    try:
        raise ValueError(f"password={SECRET}")
    except ValueError:
        logger.error("Task raised: %(exc)s", {"exc": f"token={SECRET}"}, exc_info=True)
    assert SECRET not in caplog.text
    assert "ValueError: password=***" in caplog.text
