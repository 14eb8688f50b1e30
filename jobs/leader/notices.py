"""Mails about dead letters: the open row is the outbox; at least once, equal errors in one mail; none of a snoozed error."""

import logging
import threading
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.utils import formats, timezone, translation
from django.utils.translation import gettext, ngettext

from jobs import masking
from jobs.conf import configuration, notice_recipients
from jobs.domain import own_failures
from jobs.domain.complaint import Complaint
from jobs.leader.load import Load
from jobs.store import engine
from jobs.store.many import array

logger = logging.getLogger(__name__)

EACH: Final = 1.0  # seconds
TIMEOUT: Final = 10  # seconds for the mail server, where EMAIL_TIMEOUT names none
QUIET: Final = 2.0  # seconds without another equal failure: the burst is over
GATHER: Final = 5.0  # seconds that the first of a burst waits at most
LEASE: Final = 60.0  # seconds in which nobody else sends what is being sent; after a crash it is sent again
PAUSE: Final = 5.0  # seconds before the second try; doubled for each further one
LONGEST: Final = 3600.0  # seconds between two tries
LISTED: Final = 20  # job numbers named in one mail
OUTBOX: Final = "notified_at IS NULL AND notify_after <= clock_timestamp() AND resolution = 'open'"
_GROUPS = f"""
SELECT fingerprint, array_agg(id) FROM jobs_deadletterqueue WHERE {OUTBOX} GROUP BY fingerprint
HAVING max(failed_at) < clock_timestamp() - make_interval(secs => {QUIET})
    OR min(failed_at) < clock_timestamp() - make_interval(secs => {GATHER})
 ORDER BY min(notify_after)"""
# What gathers while its error is snoozed is due when that ends. The locks let a snooze that is being ended be seen as ended.
_DEFER = f"""
UPDATE jobs_deadletterqueue d SET notify_after = snoozed.snoozed_until
  FROM (SELECT fingerprint, snoozed_until FROM jobs_errorgroup g WHERE snoozed_until > clock_timestamp()
           AND EXISTS (SELECT 1 FROM jobs_deadletterqueue WHERE fingerprint = g.fingerprint AND NOT notify_asked AND {OUTBOX})
           FOR SHARE OF g) snoozed
 WHERE d.fingerprint = snoozed.fingerprint AND NOT notify_asked AND {OUTBOX}"""
# By their numbers, in a condition that no index of the outbox is for: after a burst PostgreSQL takes that for empty, and would read all of
# it for each group.
_TAKE = f"""
UPDATE jobs_deadletterqueue SET notify_after = clock_timestamp() + make_interval(secs => {LEASE}), notify_tries = notify_tries + 1
 WHERE id IN (SELECT id FROM jobs_deadletterqueue WHERE id = ANY (%s::bigint[]) AND notified_at IS NULL AND resolution = 'open'
                 AND coalesce(notify_after, 'infinity') <= clock_timestamp() FOR UPDATE SKIP LOCKED)
RETURNING id, job_id, notify_tries"""
_LATEST = """
SELECT j.task, d.error_class, d.message, d.attempts, j.losses, d.traceback, coalesce(g.owner, ''),
       CASE WHEN g.snoozed_until <= clock_timestamp() AND (SELECT min(failed_at) FROM jobs_deadletterqueue WHERE id = ANY (%(ids)s))
                 < g.snoozed_until THEN g.snoozed_until END
  FROM jobs_deadletterqueue d JOIN jobs_job j ON j.id = d.job_id LEFT JOIN jobs_errorgroup g ON g.fingerprint = d.fingerprint
 WHERE d.id = %(newest)s"""
_JOBS = "SELECT id, name, queue FROM jobs_job WHERE id = ANY (%s) ORDER BY id"
_SENT = "UPDATE jobs_deadletterqueue SET notified_at = clock_timestamp(), notify_error = '', notify_asked = false WHERE id = ANY (%s)"
_NOT_SENT = """
UPDATE jobs_deadletterqueue SET notify_error = %s, notify_after = clock_timestamp() + make_interval(secs => %s)
 WHERE id = ANY (%s) AND resolution = 'open'"""
_NOBODY = f"UPDATE jobs_deadletterqueue SET notify_error = 'no ADMIN_EMAILS', notify_after = NULL WHERE {OUTBOX}"


class ServerAway(Exception):
    """The mail server takes no connection, so no other mail needs to be tried now."""


def send_due(connection: Any) -> int:
    """Send what is due, one mail for each group of equal errors; how many entries were in them, sent or not.

    No row stays locked while the mail server is talked to. Where nobody is to be written to, the rows say so and are not tried again.
    """
    to = notice_recipients()
    with connection.cursor() as cursor:
        cursor.execute(_DEFER)
        if not to:
            cursor.execute(_NOBODY)
            return int(cursor.rowcount)
        cursor.execute(_GROUPS)
        total, away = 0, ""
        for fingerprint, ids in cursor.fetchall():
            cursor.execute(_TAKE, [array(ids)])
            if rows := sorted(cursor.fetchall()):
                total += len(rows)
                away = _send_group(cursor, rows, to, away, fingerprint)
    return total


def _send_group(cursor: Any, rows: list[tuple[int, int, int]], to: list[str], away: str, fingerprint: str) -> str:
    """Send one mail and record how that went; the reason when the server is away (`away`: that is known already)."""
    ids = [id for id, _, _ in rows]
    try:
        if away:
            raise ServerAway(away)
        cursor.execute(_LATEST, {"ids": ids, "newest": ids[-1]})
        latest = cursor.fetchone()
        cursor.execute(_JOBS, [sorted(job for _, job, _ in rows)[:LISTED]])
        _deliver(_mail(len(rows), cursor.fetchall(), latest, to, page_of(fingerprint)))
        cursor.execute(_SENT, [ids])
        return ""
    except Exception as error:  # whatever a mail backend raises is recorded, and tried again
        if cursor.connection.closed:
            raise
        reason = (away or f"{type(error.__cause__ or error).__name__}: {error}").replace("\0", "")[:1000]
        pause = min(PAUSE * 2 ** min(max(tries for _, _, tries in rows) - 1, 20), LONGEST)
        cursor.execute(_NOT_SENT, [reason, pause, ids])
        if not away:
            logger.warning("A notice was not sent, it is tried again in %.0f s: %s", pause, reason)
        return reason if isinstance(error, ServerAway) else ""


def _deliver(mail: EmailMessage) -> None:
    server = get_connection(timeout=getattr(settings, "EMAIL_TIMEOUT", None) or TIMEOUT)
    try:
        server.open()
    except Exception as error:  # its kind depends on the backend
        raise ServerAway(str(error)) from error
    try:
        server.send_messages([mail])
    finally:
        server.close()


def page_of(fingerprint: str) -> str:
    """The address of the page of all these errors, "" where nobody said where the pages are.

    Put together here: to ask Django for it would load all pages of the project into the leader.
    """
    site = configuration().site_url
    return f"{site.rstrip('/')}/jobs/dead-letters/group/{quote(fingerprint, safe='')}/" if site else ""


def _mail(number: int, jobs: list[tuple[int, str, str]], latest: tuple[Any, ...], to: list[str], page: str) -> EmailMessage:
    """About so many jobs; `jobs`: number, name and queue of the first of them; `page`: where they are seen, "" for no address."""
    task, error_class, message, attempts, losses, traceback, owner, snoozed_until = latest
    with translation.override(settings.LANGUAGE_CODE):
        subject = ngettext("%(number)s job failed for good: %(task)s", "%(number)s jobs failed for good: %(task)s", number)
        listed = gettext(", ").join(_named(id, name) for id, name, _ in jobs) + (" …" if number > len(jobs) else "")
        lines = [
            gettext("Task: %(task)s") % {"task": task},
            gettext("Jobs: %(jobs)s") % {"jobs": listed},
            gettext("Queue: %(queue)s") % {"queue": gettext(", ").join(sorted({queue for _, _, queue in jobs}))},
            gettext("Attempts: %(attempts)s") % {"attempts": attempts},
            *([gettext("Lost runs: %(losses)s") % {"losses": losses}] if losses else []),
            gettext("Error: %(error)s") % {"error": f"{error_class}: {own_failures.said(masking.text(message))}"},
        ]
        if page:
            lines.append(gettext("Page: %(address)s") % {"address": page})
        if owner:
            lines.append(gettext("Owner: %(owner)s") % {"owner": owner})
        if snoozed_until:
            until = formats.date_format(timezone.localtime(snoozed_until), "DATETIME_FORMAT")
            lines.append(gettext("The notices of this error were snoozed until %(time)s; this is what was held back.") % {"time": until})
        if traceback:
            lines += ["", masking.text(traceback)]
        return EmailMessage(" ".join((subject % {"number": number, "task": task}).split()), "\n".join(lines), to=to)


def _named(number: int, name: str) -> str:
    shown = " ".join(masking.text(name).split())
    return gettext("%(number)s (%(name)s)") % {"number": number, "name": shown} if shown else str(number)


def run(stop: threading.Event, load: Load) -> None:
    """The thread: once a second while the leader sees any, until told to stop."""
    complaint = Complaint(logger, "Notices")
    while not stop.is_set():
        if not load.notices.wait(EACH):
            continue
        connection = None
        try:
            connection = engine.connect("jobs notices")
            while load.notices.is_set() and not stop.is_set():
                send_due(connection)
                stop.wait(EACH)
        except Exception as error:  # a server that is away, missing tables: the thread must outlive it
            complaint.say(error)
            stop.wait(5.0)
        finally:
            if connection is not None:
                connection.close()
