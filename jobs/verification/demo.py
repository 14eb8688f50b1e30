"""A few jobs of every kind, from their acceptance to their end."""

from collections.abc import Callable

from django.utils.translation import gettext as _

from jobs import control, masking
from jobs.domain import own_failures
from jobs.domain.statuses import Status
from jobs.enqueueing import enqueue
from jobs.models import DeadLetterQueue, Job
from jobs.store import fresh
from jobs.verification import watch

TIMEOUT = 60  # seconds


def run(say: Callable[[str], None]) -> bool:
    """Enqueue, show, sum up; False when a job did not end as its kind should."""
    wanted = {
        enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name=name, priority=priority).id: Status.COMPLETED
        for name, priority in ((_("urgent"), 9), (_("ordinary"), 5), (_("not urgent"), 0))
    }
    wanted[enqueue("jobs.tasks.flaky", kwargs={"failures": 1}, name=_("fails, then recovers")).id] = Status.COMPLETED
    wanted[enqueue("jobs.tasks.fail", name=_("always fails"), max_retries=1).id] = Status.FAILED
    later = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0}, name=_("cancelled before it was due"), delay=3600).id
    control.cancel([later], by="demo")
    wanted[later] = Status.CANCELLED
    watch.watch(list(wanted), say, TIMEOUT)
    found = dict(fresh.rows(Job).filter(id__in=wanted).values_list("id", "status"))
    for entry in fresh.rows(DeadLetterQueue).filter(job_id__in=wanted):
        say(_("in the Dead Letter Queue: job %(id)d, %(error)s") % {"id": entry.job_id, "error": _error(entry)})
    return found == wanted


def _error(entry: DeadLetterQueue) -> str:
    return f"{entry.error_class}: {own_failures.said(masking.text(entry.message))}"
