"""Bulk actions, some at a time: the leader goes on with them, whoever asked may have left."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, connections, transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from jobs import control, dead_letters, rights, undoing
from jobs.conf import configuration
from jobs.control import Report
from jobs.domain.actors import Actor, Source
from jobs.domain.complaint import Complaint
from jobs.domain.statuses import ENDED, Status
from jobs.models import Batch, DeadLetterQueue, Job
from jobs.models.audit import Verb
from jobs.models.batch import BatchState
from jobs.models.job import ClockTimestamp
from jobs.refusals import Refusal
from jobs.store import audit, batch_numbers, collisions

FOLLOWED: Final = 5_000  # jobs of a batch whose end is followed on its page
AT_ONCE: Final = 500  # more than these go on in the background
MOST: Final = 200_000  # numbers of one batch
_CHUNK: Final = 200
_MOVED: Final = ["state", "options", "source", "place", "done", "reasons", "remark", "trial_job", "started_at", "ended_at"]  # not `ids`
_LOCK_S: Final = 1  # seconds that a step waits for a lock of somebody else; other acts wait with it, and whoever stops this one
_SITS_OUT_S: Final = 3.0
_sits_out: Final[dict[int, float]] = {}  # batches that met a lock -> when they try again
UNDOABLE: Final = [Verb.CANCEL.value, Verb.PRIORITY.value, Verb.QUEUE.value]
_complaint: Final = Complaint(logging.getLogger(__name__), "A bulk action")
_ACTIVE: Final = [BatchState.TRIAL.value, BatchState.RUNNING.value]


def start(
    verb: Verb, ids: Sequence[int], by: Actor, *, entries: bool = False, pace: int | None = None, trial: bool = False, **options: Any
) -> Batch:
    """Accept the act for exactly these numbers. `pace`: at most so many per second; `trial`: one first, the rest when it has completed.
    `options` are those of the verb: priority, queue, note, arguments, reason."""
    return _made(verb, ids, by, BatchState.TRIAL if trial else BatchState.RUNNING, entries=entries, pace=pace, options=options)


def draft(verb: Verb, ids: Sequence[int], by: Actor, *, entries: bool = False) -> Batch:
    """Note exactly these jobs, or entries, for a preview; `confirm` lets it begin."""
    return _made(verb, ids, by, BatchState.DRAFT, entries=entries, options={})


def _made(verb: Verb, ids: Sequence[int], by: Actor, state: BatchState, **values: Any) -> Batch:
    return Batch.objects.using(configuration().database).create(
        verb=verb.value, actor=by.name, source=by.source.value, ids=list(ids), total=len(ids), reasons={}, state=state.value, **values
    )


@collisions.made_again
def confirm(pk: int, by: Actor, **options: Any) -> bool:
    """Begin what was previewed: at once when it is small, else in the background. False: it is not a preview of this person (any more)."""
    alias = configuration().database
    with transaction.atomic(using=alias):
        rows = Batch.objects.using(alias).select_for_update()
        batch = rows.filter(pk=pk, state=BatchState.DRAFT.value, actor=by.name).first()
        if batch is None:
            return False
        batch.state, batch.options, batch.source = BatchState.RUNNING.value, options, by.source.value
        if batch.total <= AT_ONCE:
            _turn(batch, batch.ids)
            _close(batch, BatchState.DONE)
        batch.save(using=alias, update_fields=_MOVED)
    return True


def stop(pk: int, by: Actor) -> bool:
    """Let the rest be as it is; False when it had ended already."""
    alias = configuration().database
    with transaction.atomic(using=alias):
        rows = Batch.objects.using(alias).filter(pk=pk, state__in=_ACTIVE)
        remark = f"stopped by:{by.name}"
        if not rows.update(state=BatchState.STOPPED.value, ended_at=ClockTimestamp(), remark=remark):
            return False
        _record_stop(pk, by, alias)
    return True


@collisions.made_again
def undo(pk: int, by: Actor) -> list[Batch]:
    """Take back what the ended batch changed, where nobody did anything to the job since: one new act for each value that comes back.

    Empty: nothing of it can be taken back, or it was before. A job that waited when it was cancelled waits again as it did; one that ran
    was stopped.
    """
    alias = configuration().database
    with transaction.atomic(using=alias):
        batch = (
            Batch.objects.using(alias).select_for_update().filter(pk=pk, state__in=undoing.ENDED, verb__in=UNDOABLE, entries=False).first()
        )
        if batch is None or undoing.taken_back_by(pk):
            return []
        made = []
        for (verb, options), ids in undoing.changed_back(batch, alias).items():
            new = draft(verb, ids, by)
            Batch.objects.using(alias).filter(pk=new.pk).update(remark=f"{undoing.TAKES_BACK}{pk}")
            confirm(new.pk, by, **dict(options))
            made.append(Batch.objects.using(alias).defer("ids").get(pk=new.pk))
        return made


def outcome(pk: int) -> Counter[str]:
    """How many jobs of a batch that runs them again are in which status now; empty for a larger one than FOLLOWED."""
    rows = Batch.objects.filter(pk=pk, verb=Verb.REPROCESS.value, total__lte=FOLLOWED)
    found = rows.values_list("ids", "place", "entries").first()
    if found is None:
        return Counter()
    ids, place, entries = found
    had: Any = ids[:place]
    if entries:
        had = DeadLetterQueue.objects.filter(pk__in=had).values("job_id")
    return Counter(dict(Job.objects.filter(pk__in=had).order_by().values_list("status").annotate(Count("pk"))))


def apply(verb: Verb, ids: Sequence[int], by: Actor, *, entries: bool = False, **options: Any) -> Report:
    """The act for these numbers, now."""
    reason = options.get("reason", "")
    if entries and verb is Verb.RESOLVE:
        return dead_letters.resolve(ids, by, options.get("note", ""))
    if entries:
        return dead_letters.reprocess(ids, by, arguments=options.get("arguments"), priority=options.get("priority"), reason=reason)
    match verb:
        case Verb.CANCEL:
            return control.cancel(ids, by, reason=reason)
        case Verb.REPROCESS:
            return control.reprocess(ids, by, reason=reason)
        case Verb.RESTORE:
            return control.restore(ids, by, reason=reason)
        case Verb.PRIORITY:
            return control.change_priority(ids, options["priority"], by, reason=reason)
        case Verb.QUEUE:
            return control.change_queue(ids, options["queue"], by, reason=reason)
        case Verb.DELETE:
            return control.delete(ids, by, reason=reason)
    raise ValueError(verb)


def remark_text(batch: Batch) -> str:
    """What is to be said besides, in the language of now; what an earlier version stored is a sentence already."""
    kind, _colon, value = batch.remark.partition(":")
    match kind:
        case "stopped by":
            return _("Stopped by %(name)s.") % {"name": value}
        case "takes back":
            return _("Undoes bulk action %(number)s.") % {"number": value}
        case "may not":
            return _("Stopped: %(name)s no longer has permission to do this.") % {"name": value}
        case "trial failed" if batch.place >= batch.total:
            return _("The trial (job %(number)s) did not complete.") % {"number": value}
        case "trial failed":
            return _("The trial (job %(number)s) did not complete: the others stay as they are.") % {"number": value}
    return batch.remark


def go_on() -> bool:
    """One step of each batch that has not ended; whether another step is due at once."""
    active = Batch.objects.using(configuration().database).filter(state__in=_ACTIVE).order_by("id")
    now = time.monotonic()
    steps = [_try(pk) for pk in active.values_list("pk", flat=True) if _sits_out.get(pk, now) <= now]  # each has its turn
    return any(steps)


def _try(pk: int) -> bool:
    _sits_out.pop(pk, None)
    try:
        return _step(pk)
    except (OperationalError, InterfaceError) as error:
        if not collisions.is_one(error):  # of the connection: no fault of this batch
            raise
        _sits_out[pk] = time.monotonic() + _SITS_OUT_S
        _complaint.say(error)
        return False
    except Exception as error:  # whatever a verb meets in one batch: the others go on, and this one is tried again
        _complaint.say(error)
        return False


def _step(pk: int) -> bool:
    """The change and the note how far it is are one transaction: after a crash nothing has its turn twice."""
    alias = configuration().database
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_S}s'")
        rows = Batch.objects.using(alias).defer("ids").select_for_update(skip_locked=True)
        batch = rows.filter(pk=pk, state__in=_ACTIVE).first()
        if batch is None:
            return False
        if not rights.may(Actor(name=batch.actor, source=Source(batch.source)), rights.needed(batch.what, entries=batch.entries)):
            _end(batch, f"may not:{batch.actor}", alias)
            return False
        try:
            return _trial(batch, alias) if batch.state == BatchState.TRIAL else _go_on(batch, alias)
        except (ValueError, ValidationError) as error:  # the verb refuses its options; another try would be refused too
            _close(batch, BatchState.STOPPED, _said(error))
            batch.save(using=alias, update_fields=_MOVED)
            return False


def _go_on(batch: Batch, alias: str) -> bool:
    """The next jobs have their turn. True: another step is due."""
    if ids := _part(batch, _room(batch, alias), alias):
        _turn(batch, ids)
    if batch.place >= batch.total:
        _close(batch, BatchState.DONE)
    batch.save(using=alias, update_fields=_MOVED)
    return batch.active and batch.pace is None


def _said(error: ValueError | ValidationError) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


def _close(batch: Batch, state: BatchState, remark: str = "") -> None:
    batch.state, batch.ended_at, batch.remark = state.value, ClockTimestamp(), remark or batch.remark


def _end(batch: Batch, remark: str, alias: str) -> None:
    """Let the rest be as it is, though nobody asked for that."""
    _close(batch, BatchState.STOPPED, remark)
    batch.save(using=alias, update_fields=_MOVED)
    _record_stop(batch.pk, Actor(name="leader"), alias, note=remark_text(batch))


def _record_stop(pk: int, by: Actor, alias: str, note: str = "") -> None:
    with connections[alias].cursor() as cursor:
        audit.steered(cursor, by, Verb.STOP, str(pk), {}, {}, note=note)


def _turn(batch: Batch, ids: Sequence[int]) -> Report:
    actor = Actor(name=batch.actor, source=Source(batch.source), batch=batch.pk)
    untouched = undoing.untouched(batch, ids, configuration().database)
    report = apply(batch.what, untouched, actor, entries=batch.entries, **batch.options)
    batch.place += len(ids)
    batch.done += len(report.done) - len(report.asked)
    left = Counter(reason.value for reason in report.refused.values()) + Counter({Refusal.CHANGED.value: len(ids) - len(untouched)})
    batch.reasons = dict(Counter(batch.reasons) + left + Counter({Refusal.ASKED.value: len(report.asked)}))
    return report


def _part(batch: Batch, number: int, alias: str) -> list[int]:
    with connections[alias].cursor() as cursor:
        return batch_numbers.following(cursor, batch, number)


def _room(batch: Batch, alias: str) -> int:
    """How many may have their turn now."""
    if batch.pace is None:
        return _CHUNK
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now = cursor.fetchone()[0]
    if batch.started_at is not None and (now - batch.started_at).total_seconds() < 1:
        return 0
    room = 1 if batch.started_at is None else min(batch.pace, _CHUNK)  # what a leader that was away has missed is not made up for
    batch.started_at = now
    return room


def _trial(batch: Batch, alias: str) -> bool:
    """Send the first; when it has completed the others follow, when it has not they stay as they are. True: another step is due."""
    looks_on = False
    if batch.trial_job is None:
        looks_on = _send_trial(batch, alias)
    else:
        status = Job.objects.using(alias).filter(pk=batch.trial_job).values_list("status", flat=True).first()
        if status == Status.COMPLETED:
            batch.state = BatchState.RUNNING.value
        elif status is None or status in ENDED:
            _close(batch, BatchState.STOPPED, f"trial failed:{batch.trial_job}")
    batch.save(using=alias, update_fields=_MOVED)
    return looks_on or batch.state == BatchState.RUNNING


def _send_trial(batch: Batch, alias: str) -> bool:
    """The first that can be sent is the trial. A step tries some of them; True: there are others to try."""
    for number in _part(batch, _CHUNK, alias):
        if _turn(batch, [number]).done:
            entry = DeadLetterQueue.objects.using(alias).filter(pk=number) if batch.entries else None
            batch.trial_job = entry.values_list("job_id", flat=True).get() if entry is not None else number
            return False
    if batch.place < batch.total:
        return True
    _close(batch, BatchState.DONE)
    return False
