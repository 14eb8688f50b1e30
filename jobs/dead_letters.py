"""What people do with entries of the dead letter queue."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, transaction
from django.db.models import Exists, OuterRef, Q

from jobs import control
from jobs.conf import configuration
from jobs.control import Report
from jobs.domain.actors import Actor, actor_of, text_of
from jobs.domain.numbers import numbers_of
from jobs.models import DeadLetterQueue, Job
from jobs.models.audit import Verb
from jobs.models.job import ClockTimestamp
from jobs.refusals import Refusal
from jobs.store import audit, collisions
from jobs.store.transitions import clean


def _left(wanted: Sequence[int], done: set[int], reason: Refusal) -> dict[int, Refusal]:
    return {id: reason for id in wanted if id not in done}


@collisions.made_again
def _change(what: Verb, wanted: list[int], by: str | Actor, remark: str = "", *, was: str = "open", **changes: Any) -> Report:
    """Change those of the entries that are open, or `was` what else, and record it, in one transaction."""
    alias = configuration().database
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        rows = DeadLetterQueue.objects.using(alias).select_for_update().filter(id__in=wanted, resolution=was).order_by("id")
        jobs = dict(rows.values_list("id", "job_id"))
        DeadLetterQueue.objects.using(alias).filter(id__in=jobs).update(**changes)
        names = audit.seen(cursor, list(jobs.values()))
        before, after = ({"entry": was}, {"entry": changes["resolution"]}) if "resolution" in changes else ({}, {})
        records = [(job, names[job].name if job in names else "", before, after) for job in jobs.values()]
        audit.write(cursor, actor_of(by), what, records, note=remark)
    return Report(done=sorted(jobs), refused=_left(wanted, set(jobs), Refusal.NOT_OPEN))


def reprocess(
    entry_ids: Iterable[int],
    by: str | Actor,
    *,
    arguments: Mapping[str, Any] | None = None,
    priority: int | None = None,
    reason: str = "",
) -> Report:
    """Run the jobs of open entries again, perhaps with some named arguments or the priority changed; the entries become reprocessed."""
    return _reprocess(numbers_of(entry_ids), by, arguments=arguments, priority=priority, reason=reason)


@collisions.made_again
def _reprocess(wanted: list[int], by: str | Actor, **options: Any) -> Report:
    alias = configuration().database
    with transaction.atomic(using=alias):
        # Jobs before entries, as every verb does; what another person is closing is not open any more after this.
        list(Job.objects.using(alias).select_for_update(of=("self",)).filter(dead_letters__in=wanted).order_by("id").values_list("id"))
        rows = DeadLetterQueue.objects.using(alias).select_for_update().filter(id__in=wanted, resolution="open").order_by("id")
        entries = dict(rows.values_list("job_id", "id"))
        report = control.reprocess(list(entries), by, **options)
    done = {entries[job] for job in report.done}
    refused = _left(wanted, done, Refusal.NOT_OPEN) | {entries[job]: why for job, why in report.refused.items()}
    return Report(done=sorted(done), refused=refused)


def resolve(entry_ids: Iterable[int], by: str | Actor, note: str = "") -> Report:
    """Close open entries with a note; their jobs stay failed."""
    note = clean(text_of("note", note), audit.NOTE)
    closed: dict[str, Any] = {
        "resolution": "resolved",
        "resolved_by": clean(actor_of(by).name, 200),
        "resolved_at": ClockTimestamp(),
        "notify_after": None,
    }
    return _change(Verb.RESOLVE, numbers_of(entry_ids), by, note, note=note, **closed)


def reopen(entry_ids: Iterable[int], by: str | Actor, note: str = "") -> Report:
    """Open resolved entries again, each the last of a job that stayed failed; no notice goes out by itself. The `note` is for the audit."""
    wanted, note = numbers_of(entry_ids), clean(text_of("note", note), audit.NOTE)
    alias = configuration().database
    with transaction.atomic(using=alias):
        # Jobs before entries, as every verb does; after this none of them is reprocessed, nor fails again.
        list(Job.objects.using(alias).select_for_update().filter(dead_letters__in=wanted).order_by("id").values_list("id"))
        others = DeadLetterQueue.objects.filter(Q(id__gt=OuterRef("id")) | Q(resolution="open"), job=OuterRef("job"))
        last = DeadLetterQueue.objects.using(alias).filter(~Exists(others), id__in=wanted, job__status="failed")
        opened: dict[str, Any] = {"resolution": "open", "resolved_by": "", "resolved_at": None, "note": ""}
        done = _change(Verb.REOPEN, list(last.values_list("id", flat=True)), by, note, was="resolved", **opened).done
    return Report(done=done, refused=_left(wanted, set(done), Refusal.NOT_RESOLVED))


def notify(entry_ids: Iterable[int], by: str | Actor = "") -> Report:
    """Have the notice of open entries sent (again) by the leader, now, also when their group is snoozed."""
    again: dict[str, Any] = {
        "notified_at": None, "notify_error": "", "notify_tries": 0, "notify_after": ClockTimestamp(), "notify_asked": True,
    }  # fmt: skip
    return _change(Verb.NOTIFY, numbers_of(entry_ids), by, **again)
