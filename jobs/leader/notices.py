"""Mails about dead letters: the open row is the outbox; at least once, equal errors in one mail."""

import logging
import threading
from collections import defaultdict
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.utils import translation
from django.utils.translation import gettext, ngettext

from jobs.store import engine

logger = logging.getLogger(__name__)

EACH: Final = 1.0  # seconds
TIMEOUT: Final = 10  # seconds for the mail server
LONGEST: Final = 3600.0  # seconds between two tries
LISTED: Final = 20  # job numbers named in one mail
_ROWS = """
SELECT d.id, d.fingerprint, d.job_id, j.task, d.error_class, d.message, d.attempts, d.notify_tries, d.traceback
  FROM jobs_deadletterqueue d JOIN jobs_job j ON j.id = d.job_id
 WHERE d.notified_at IS NULL AND d.notify_after <= clock_timestamp() AND d.resolution = 'open'
 ORDER BY d.id LIMIT 1000 FOR UPDATE OF d SKIP LOCKED"""


def _mail(rows: list[tuple[Any, ...]], to: list[str]) -> EmailMessage:
    _, _, _, task, error_class, message, attempts, _, traceback = rows[-1]
    with translation.override(settings.LANGUAGE_CODE):
        number = len(rows)
        subject = ngettext("%(number)s job failed for good: %(task)s", "%(number)s jobs failed for good: %(task)s", number)
        jobs = ", ".join(str(row[2]) for row in rows[:LISTED]) + (" …" if number > LISTED else "")
        lines = [
            gettext("Task: %(task)s") % {"task": task},
            gettext("Jobs: %(jobs)s") % {"jobs": jobs},
            gettext("Attempts: %(attempts)s") % {"attempts": attempts},
            gettext("Error: %(error)s") % {"error": f"{error_class}: {message}"},
        ]
        if traceback:
            lines += ["", traceback]
        text = " ".join((subject % {"number": number, "task": task}).split())
        return EmailMessage(text, "\n".join(lines), to=to, connection=get_connection(timeout=TIMEOUT))


def send_due(connection: Any) -> int:
    """Send what is due; the number of rows looked at. Nobody to write to: the row says so and is not tried again."""
    to = list(settings.ADMIN_EMAILS)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(_ROWS)
        rows = cursor.fetchall()
        if rows and not to:
            cursor.execute(
                "UPDATE jobs_deadletterqueue SET notify_error = 'no ADMIN_EMAILS', notify_after = NULL WHERE id = ANY (%s)",
                [[row[0] for row in rows]],
            )
        groups: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows if to else []:
            groups[row[1]].append(row)
        broken = ""
        for group in groups.values():
            ids = [row[0] for row in group]
            try:
                if broken:  # one failure a round: the rest would only wait for the same server
                    raise OSError(broken)
                _mail(group, to).send()
                cursor.execute(
                    """UPDATE jobs_deadletterqueue SET notified_at = clock_timestamp(), notify_error = '',
                              notify_tries = notify_tries + 1 WHERE id = ANY (%s)""",
                    [ids],
                )
            except Exception as error:
                if connection.closed:
                    raise
                broken = broken or f"{type(error).__name__}: {error}".replace("\0", "")[:1000]
                pause = min(5.0 * 2 ** min(max(row[7] for row in group), 20), LONGEST)
                cursor.execute(
                    """UPDATE jobs_deadletterqueue SET notify_error = %s, notify_tries = notify_tries + 1,
                              notify_after = clock_timestamp() + make_interval(secs => %s) WHERE id = ANY (%s)""",
                    [broken, pause, ids],
                )
        cursor.execute("COMMIT")
        if broken:
            logger.warning("A notice was not sent: %s", broken)
    return len(rows)


def run(stop: threading.Event) -> None:
    """The thread: once a second, until told to stop."""
    while not stop.is_set():
        connection = None
        try:
            connection = engine.connect("jobs notices")
            while not stop.is_set():
                send_due(connection)
                stop.wait(EACH)
        except Exception as error:
            logger.warning("Notices: %s", str(error).strip())
            stop.wait(5.0)
        finally:
            if connection is not None:
                connection.close()
