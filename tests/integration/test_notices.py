"""Notices about dead letters: real mails to a real server, tried again while it is away, equal errors in one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client
from django.utils import translation

from jobs import dead_letters, enqueue, enqueue_many, error_groups
from jobs.conf import notice_recipients
from jobs.leader import notices
from jobs.models import DeadLetterQueue, Job
from jobs.models.job import ClockTimestamp
from jobs.store import clock, engine
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
    assert notice_recipients() == ["a@b.c", "d@e.f"]


def test_a_mail_names_its_jobs_in_their_order_and_their_queues(outbox: Callable[[], int], settings: Any) -> None:
    first, second, third = buried(3)
    Job.objects.filter(pk=second.job_id).update(name="nightly\nreport password=hunter2", queue="reports")
    with connection.cursor() as cursor:  # its job failed last
        cursor.execute("UPDATE jobs_deadletterqueue SET id = id + 1000 WHERE id = %s", [first.id])
    Job.objects.filter(pk=first.job_id).update(losses=3)
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 3
    lines = inbox.body(0).splitlines()
    assert "Lost runs: 3" in lines
    assert f"Jobs: {first.job_id}, {second.job_id} (nightly report password=***), {third.job_id}" in lines
    assert "Queue: celery, reports" in lines


@pytest.mark.parametrize("site", ["https://jobs.example.com", "https://jobs.example.com/"])
def test_a_mail_leads_to_the_page_of_its_error(outbox: Callable[[], int], settings: Any, site: str, admin_client: Client) -> None:
    settings.JOBS_SITE_URL = site
    (entry,) = buried()
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 1
    (line,) = [line for line in inbox.body(0).splitlines() if line.startswith("Page: ")]
    page = admin_client.get(line.removeprefix("Page: https://jobs.example.com"))
    assert page.status_code == 200
    assert entry.message in page.content.decode()


def test_a_mail_names_no_page_where_nobody_said_where_they_are(outbox: Callable[[], int], settings: Any) -> None:
    settings.JOBS_SITE_URL = ""
    buried()
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 1
    assert "Page:" not in inbox.body(0)


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
        assert "The notice for 1 entry is being sent now." in page
        assert f"1 entry was left as it is (job {second.job_id}). It is no longer open." in page
        assert outbox() == 1
    assert len(inbox.mails) == 2
    assert all(mail[1]["To"] == ", ".join(ADMINS) for mail in inbox.mails)


def test_what_fails_while_its_error_is_snoozed_comes_in_one_mail_afterwards(outbox: Callable[[], int], settings: Any) -> None:
    first = buried(2)
    group = first[0].fingerprint
    until_ = clock.now() + timedelta(hours=1)
    assert error_groups.snooze([group], until_, "sara") == [group]
    error_groups.own([group], "omar", "sara")
    assert outbox() == 0
    later = buried()
    assert outbox() == 0
    assert set(DeadLetterQueue.objects.values_list("notify_after", "notify_tries", "notified_at")) == {(until_, 0, None)}
    dead_letters.resolve([first[0].id], "sara")
    with connection.cursor() as cursor:  # the hour passes
        cursor.execute("UPDATE jobs_errorgroup SET snoozed_until = snoozed_until - interval '1 hour'")
        cursor.execute("UPDATE jobs_deadletterqueue SET notify_after = notify_after - interval '1 hour'")
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 2
        assert outbox() == 0
    assert len(inbox.mails) == 1
    assert "2 jobs failed for good" in subject(inbox, 0)
    assert f"Jobs: {first[1].job_id}, {later[0].job_id}" in inbox.body(0)
    assert "snoozed until" in inbox.body(0)
    assert "Owner: omar" in inbox.body(0)


def test_the_end_of_a_snooze_lets_out_what_has_gathered(outbox: Callable[[], int], settings: Any) -> None:
    (entry,) = buried()
    error_groups.snooze([entry.fingerprint], clock.now() + timedelta(hours=1), "sara")
    assert outbox() == 0
    error_groups.snooze([entry.fingerprint], clock.now() + timedelta(hours=2), "sara")
    assert outbox() == 0
    assert error_groups.wake([entry.fingerprint], "sara") == [entry.fingerprint]
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 1
    assert len(inbox.mails) == 1


def test_a_notice_that_a_person_asks_for_goes_out_of_a_snoozed_group(outbox: Callable[[], int], settings: Any) -> None:
    asked, other = buried(2)
    error_groups.snooze([asked.fingerprint], clock.now() + timedelta(hours=1), "sara")
    assert outbox() == 0
    dead_letters.notify([asked.id], "sara")
    assert outbox() == 1  # the server is away
    DeadLetterQueue.objects.filter(id=asked.id).update(notify_after=ClockTimestamp())
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 1
    assert len(inbox.mails) == 1
    assert f"Jobs: {asked.job_id}\n" in inbox.body(0).replace("\r", "")
    assert set(DeadLetterQueue.objects.values_list("notify_asked", flat=True)) == {False}
    assert DeadLetterQueue.objects.get(id=other.id).notified_at is None


def test_other_errors_are_not_silenced(outbox: Callable[[], int], settings: Any) -> None:
    snoozed, other = buried(2)
    DeadLetterQueue.objects.filter(id=other.id).update(fingerprint="another")
    error_groups.snooze([snoozed.fingerprint], clock.now() + timedelta(hours=1), "sara")
    with mail_server(settings.EMAIL_PORT, Inbox()) as inbox:
        assert outbox() == 1
    assert str(other.job_id) in inbox.body(0)


def test_a_snooze_that_is_being_ended_defers_nothing(outbox: Callable[[], int]) -> None:
    """The leader looks while somebody ends the snooze: it waits for that, and sees it ended."""
    (entry,) = buried()
    until_ = clock.now() + timedelta(hours=1)
    error_groups.snooze([entry.fingerprint], until_, "sara")
    own = engine.connect("jobs ending")
    own.autocommit = False
    with own.cursor() as cursor:
        cursor.execute("UPDATE jobs_errorgroup SET snoozed_until = NULL")
        look = threading.Thread(target=outbox)
        look.start()
        until(_waits_for_a_lock, timeout=20)
        own.commit()
    look.join(20)
    own.close()
    row = DeadLetterQueue.objects.get(id=entry.id)
    assert row.notify_tries == 1
    assert row.notify_after != until_


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')")
        return bool(cursor.fetchone()[0])


def test_what_another_leader_has_taken_is_left_to_it(settings: Any, outbox: Callable[[], int]) -> None:
    taken, free = buried(2)
    with closing(engine.connect("jobs notices")) as own, mail_server(settings.EMAIL_PORT, Inbox()) as inbox, transaction.atomic():
        own.cursor().execute("SET lock_timeout = '2s'")
        DeadLetterQueue.objects.select_for_update().get(id=taken.id)
        assert notices.send_due(own) == 1, "it waits for no row"
    assert f"Jobs: {free.job_id}" in inbox.body(0).splitlines()


def test_what_a_plain_update_has_closed_is_told_to_nobody(outbox: Callable[[], int]) -> None:
    buried(resolution="resolved")
    assert outbox() == 0, "it leaves the time of the next notice; the verbs do not"


def test_what_is_due_of_one_error_is_found_without_reading_all_that_is_due() -> None:
    """After a burst PostgreSQL takes the index of what is due for empty: of 2,000 errors at once it read all of it for each mail."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, status, finished_at) SELECT 't', 'failed', now() FROM generate_series(1, 4000)")
        cursor.execute(
            """INSERT INTO jobs_deadletterqueue (job_id, error_class, message, fingerprint, attempts, notify_after)
               SELECT id, 'ValueError', rpad('', 500, '.'), id % 400, 1, NULL FROM jobs_job"""
        )
        cursor.execute("ANALYZE jobs_deadletterqueue")
        cursor.execute("UPDATE jobs_deadletterqueue SET notify_after = clock_timestamp()")
        cursor.execute(f"EXPLAIN {notices._TAKE}", ["{1,2,3}"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "jobs_dlq_outbox" not in plan
    assert "Seq Scan" not in plan
