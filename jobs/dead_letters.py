"""What people do with entries of the dead letter queue."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from jobs import control
from jobs.control import Report
from jobs.models import DeadLetterQueue
from jobs.models.job import ClockTimestamp


def _left(wanted: Sequence[int], done: set[int], reason: str) -> dict[int, str]:
    return {id: reason for id in wanted if id not in done}


def reprocess(entry_ids: Sequence[int], by: str) -> Report:
    """Run the jobs of open entries again; the entries become reprocessed."""
    wanted = [int(id) for id in entry_ids]
    entries = dict(DeadLetterQueue.objects.filter(id__in=wanted, resolution="open").values_list("job_id", "id"))
    report = control.reprocess(list(entries), by)
    done = {entries[job] for job in report.done}
    refused = _left(wanted, done, _("It is not open any more.")) | {entries[job]: why for job, why in report.refused.items()}
    return Report(done=sorted(done), refused=refused)


def resolve(entry_ids: Sequence[int], by: str, note: str = "") -> Report:
    """Close open entries with a note; their jobs stay failed."""
    wanted = [int(id) for id in entry_ids]
    with transaction.atomic():
        done = set(DeadLetterQueue.objects.select_for_update().filter(id__in=wanted, resolution="open").values_list("id", flat=True))
        DeadLetterQueue.objects.filter(id__in=done).update(
            resolution="resolved", resolved_by=by, resolved_at=ClockTimestamp(), note=note.replace("\0", ""), notify_after=None
        )
    return Report(done=sorted(done), refused=_left(wanted, done, _("It is not open any more.")))


def notify(entry_ids: Sequence[int]) -> Report:
    """Have the notice of open entries sent (again) by the leader, now."""
    wanted = [int(id) for id in entry_ids]
    with transaction.atomic():
        done = set(DeadLetterQueue.objects.select_for_update().filter(id__in=wanted, resolution="open").values_list("id", flat=True))
        DeadLetterQueue.objects.filter(id__in=done).update(notified_at=None, notify_error="", notify_tries=0, notify_after=ClockTimestamp())
    return Report(done=sorted(done), refused=_left(wanted, done, _("It is not open any more.")))
