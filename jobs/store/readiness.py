"""What /readyz says."""

import logging
import re
from typing import Final

from django.db import DatabaseError, NotSupportedError
from django.utils.translation import gettext as _

from jobs.domain.complaint import Complaint, first_line
from jobs.store import locked, refused, sender, stats
from jobs.store.collisions import code_of
from jobs.store.outages import is_read_only

_complaint: Final = Complaint(logging.getLogger(__name__), "PostgreSQL does not say whether jobs can run")


def reasons() -> list[str]:
    """Why the system cannot run jobs now, each reason a translated sentence; empty when it can."""
    found = []
    answers = stats.redis_lives()
    if not answers:
        found.append(_("Redis does not answer."))
    try:
        if stats.migrations_missing():
            found.append(_("Migrations are missing: run “manage.py migrate”."))
            return found
        if is_read_only():
            found.append(_("PostgreSQL is not accepting writes (read-only)."))
        elif answers and (writes := refused.newest(some=False)):
            found.append(_("PostgreSQL refuses what workers write: %(reason)s") % {"reason": writes.reason})
        if held := locked.longest():
            text = _("The table %(table)s is locked by PostgreSQL session %(sessions)s; others have been waiting for %(seconds)d s.")
            found.append(text % {"table": held.table, "seconds": held.seconds, "sessions": held.sessions or "?"})
        leader, refusal = stats.leader_and_refusal()
        if not leader:
            found.append(_("No leader is up: waiting jobs are not handed to workers. Start a worker or “manage.py dispatch”."))
        elif answers and refusal:
            found.append(_("Redis is not accepting messages: %(reason)s") % {"reason": refusal.reason})
        elif answers and sender.is_elsewhere():
            found.append(_("The leader sends jobs through a different Redis from this process: compare REDIS_URL and JOBS_KEY_PREFIX."))
    except DatabaseError as error:
        _complaint.say(error)
        words = _words(error)
        found.insert(0, _("PostgreSQL answers, but refuses: %(reason)s") % {"reason": words} if words else _("PostgreSQL does not answer."))
    return found


def _words(error: DatabaseError) -> str:
    """The server's own, without names: whoever asks has no account. Empty where it has said nothing."""
    if said := re.search(r"FATAL: +(.+)", str(error)):  # to a session that it does not begin; the driver has no code of that
        text = said[1]
    elif isinstance(error, NotSupportedError) or code_of(error):
        text = first_line(error)
    else:
        return ""
    return re.sub(r'"[^"]*"|«[^»]*»|„[^“]*“', "…", text)  # in the language of the server
