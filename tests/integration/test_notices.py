"""Notices about dead letters: real mails to a real server, tried again while it is away, equal errors in one."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import translation

from jobs import dead_letters, enqueue, enqueue_many
from jobs.leader import notices
from jobs.models import DeadLetterQueue, Job
from jobs.models.job import ClockTimestamp
from jobs.store import engine
from tests.mail_server import Inbox, free_port, mail_server
from tests.rows import job_in
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ADMINS = ["sara@example.com", "omar@example.com"]


@pytest.fixture
def outbox(settings: Any) -> Iterator[Callable[[], int]]:
    """Settings of a mail server that is away, and one round of the notices over a connection of their own."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", free_port(), False
    settings.ADMIN_EMAILS, settings.LANGUAGE_CODE = ADMINS, "en"
    own = engine.connect("jobs notices")
    yield lambda: notices.send_due(own)
    own.close()


def buried(count: int = 1, **changes: Any) -> list[DeadLetterQueue]:
    """Entries of equal errors whose burst is over."""
    ids = [job_in("failed").id for _ in range(count)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_deadletterqueue SET failed_at = failed_at - interval '1 minute' WHERE job_id = ANY (%s)", [ids])
    if changes:
        DeadLetterQueue.objects.filter(job__in=ids).update(**changes)
    return list(DeadLetterQueue.objects.filter(job__in=ids).order_by("id"))


def due_now() -> None:
    DeadLetterQueue.objects.filter(notified_at=None).update(notify_after=ClockTimestamp())


def subject(inbox: Inbox, number: int) -> str:
    return str(make_header(decode_header(inbox.mails[number][1]["Subject"])))


def test_mails_go_out_while_every_slot_is_taken(tmp_path: Path) -> None:
    port = free_port()
    mail = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(port), "EMAIL_USE_TLS": "False", "ADMIN_EMAILS": ",".join(ADMINS)}
    with running_worker(tmp_path / "log", **mail, JOBS_SHUTDOWN_GRACE="0", LANGUAGE_CODE="en"):
        first = enqueue("jobs.tasks.fail", kwargs={"message": "alone"}, max_retries=0)
        waits = until(lambda: DeadLetterQueue.objects.filter(job=first).exclude(notify_error="").first(), timeout=20)
        assert "ConnectionRefusedError" in waits.notify_error
        assert waits.notified_at is None
        with mail_server(port, Inbox()) as inbox:
            burst = enqueue_many("jobs.tasks.fail", [((f"printer {n} is on fire",), {}) for n in range(12)], priority=9, max_retries=0)
            naps = enqueue_many("jobs.tasks.sleep", [((3600,), {})] * 4)
            everyone = DeadLetterQueue.objects.filter(job__in=[first.id, *burst], notified_at__isnull=False)
            until(lambda: everyone.count() == 13, timeout=40)
        entries = list(DeadLetterQueue.objects.filter(job__in=burst))
        assert max(row.notified_at - row.failed_at for row in entries if row.notified_at) < timedelta(seconds=10)
        sleepers = list(Job.objects.filter(id__in=naps))
        assert [job.status for job in sleepers] == ["running"] * 4
        assert max(job.started_at for job in sleepers if job.started_at) < min(row.notified_at for row in entries if row.notified_at)
    grouped = next(n for n in range(len(inbox.mails)) if subject(inbox, n) == "12 jobs failed for good: jobs.tasks.fail")
    assert len(inbox.mails) == 2
    assert inbox.mails[grouped][0] == ADMINS
    assert all(str(id) in inbox.body(grouped) for id in burst)
    assert "is on fire" in inbox.body(grouped)
    assert "Traceback" in inbox.body(grouped)
    assert set(DeadLetterQueue.objects.values_list("notify_error", flat=True)) == {""}


def test_a_server_that_is_away_is_tried_again_with_growing_pauses(outbox: Callable[[], int], settings: Any) -> None:
    (entry,) = buried()
    pauses = []
    for tries in (1, 2, 3):
        due_now()
        assert outbox() == 1
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT notify_tries, notify_error, extract(epoch FROM notify_after - clock_timestamp())::float FROM jobs_deadletterqueue"
            )
            tried, reason, pause = cursor.fetchone()
        assert (tried, "ConnectionRefusedError" in reason) == (tries, True)
        pauses.append(pause)
        assert outbox() == 0  # not before the pause is over
    assert [round(pause / 5) for pause in pauses] == [1, 2, 4]
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        due_now()
        assert outbox() == 1
    entry.refresh_from_db()
    assert (entry.notify_error, entry.notified_at is not None, len(inbox.mails)) == ("", True, 1)


def test_the_pause_has_a_maximum(outbox: Callable[[], int]) -> None:
    buried(notify_tries=1_000_000)
    assert outbox() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT notify_after - clock_timestamp() FROM jobs_deadletterqueue")
        assert timedelta(minutes=55) < cursor.fetchone()[0] <= timedelta(hours=1)


def test_a_mail_that_is_refused_keeps_no_other_back(outbox: Callable[[], int], settings: Any) -> None:
    buried()
    with mail_server(settings.EMAIL_PORT, Inbox("554 not this one")) as inbox:
        assert outbox() == 1
        assert "554" in DeadLetterQueue.objects.get().notify_error
        inbox.refusal = ""
        buried(fingerprint="another")
        assert outbox() == 1
    assert len(inbox.mails) == 1
    assert DeadLetterQueue.objects.filter(notified_at=None).count() == 1


def test_equal_errors_of_a_burst_wait_for_each_other(outbox: Callable[[], int], settings: Any) -> None:
    job_in("failed")
    assert outbox() == 0  # it has just failed: more of its kind may follow
    buried()
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 2  # the first of the burst has waited long enough
        buried(3, fingerprint="another")
        assert outbox() == 3
    assert [subject(inbox, n).split()[0] for n in range(2)] == ["2", "3"]


def test_nobody_to_write_to_is_recorded(outbox: Callable[[], int], settings: Any) -> None:
    del settings.ADMIN_EMAILS  # as in a project that has no such setting
    job_in("failed")
    assert outbox() == 1
    entry = DeadLetterQueue.objects.get()
    assert (entry.notify_error, entry.notify_after, entry.notified_at) == ("no ADMIN_EMAILS", None, None)
    assert outbox() == 0


@pytest.mark.parametrize("value", [["a@b.c", "d@e.f"], ("a@b.c", "d@e.f"), "a@b.c, d@e.f"])
def test_the_setting_may_be_a_list_or_a_text(settings: Any, value: Any) -> None:
    settings.ADMIN_EMAILS = value
    assert notices.recipients() == ["a@b.c", "d@e.f"]


def test_no_row_is_locked_while_a_mail_is_sent(outbox: Callable[[], int], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = buried()
    seen = []

    def deliver(mail: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM jobs_deadletterqueue WHERE id = %s FOR UPDATE NOWAIT", [entry.id])
            seen.append(cursor.fetchone()[0])
        other = engine.connect("a second leader")
        seen.append(notices.send_due(other))  # nobody else sends it meanwhile
        other.close()

    monkeypatch.setattr(notices, "_deliver", deliver)
    assert outbox() == 1
    assert seen == [entry.id, 0]


def test_the_admin_sends_the_notice_again(outbox: Callable[[], int], settings: Any, client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    first, second = buried(2)
    assert dead_letters.resolve([second.id], "sara").done == [second.id]
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox, translation.override("en"):
        assert outbox() == 1
        assert outbox() == 0
        chosen = {"action": "notify_entries", "_selected_action": [first.id, second.id]}
        page = client.post("/admin/jobs/deadletterqueue/", chosen, follow=True, headers={"accept-language": "en"}).content.decode()
        assert "The notice for 1 entry goes out now." in page
        assert "It is not open any more." in page
        assert outbox() == 1
    assert len(inbox.mails) == 2
    assert all(mail[1]["To"] == ", ".join(ADMINS) for mail in inbox.mails)
