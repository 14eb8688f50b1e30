"""What /readyz says."""

from django.db import DatabaseError
from django.utils.translation import gettext as _

from jobs.store import refused, stats
from jobs.store.outages import is_read_only


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
            found.append(_("PostgreSQL takes no writes now (read-only)."))
        elif answers and (writes := refused.newest()):
            found.append(_("PostgreSQL refuses what workers write: %(reason)s") % {"reason": writes.reason})
        leader, refusal = stats.leader_and_refusal()
        if not leader:
            found.append(_("No leader lives: waiting jobs are not handed to workers. Start a worker or “manage.py dispatch”."))
        elif answers and refusal:
            found.append(_("Redis takes no messages: %(reason)s") % {"reason": refusal.reason})
    except DatabaseError:
        found.insert(0, _("PostgreSQL does not answer."))
    return found
