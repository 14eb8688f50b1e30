"""What people do with jobs. Every verb says which it changed, and why it left the others."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from django.db import IntegrityError, connections, transaction

from jobs import masking
from jobs.conf import configuration
from jobs.domain import own_failures, statuses
from jobs.domain.actors import Actor, actor_of, text_of
from jobs.domain.numbers import numbers_of
from jobs.domain.priority import wrong_priority
from jobs.domain.texts import wrong_queue
from jobs.enqueueing import enqueue, replacing
from jobs.models import DeadLetterQueue, Job
from jobs.models.audit import Verb
from jobs.models.job import HEAVY, ClockTimestamp
from jobs.refusals import Refusal, of_status
from jobs.store import audit, collisions, fresh, interventions, removal
from jobs.store.transitions import Failure, clean

_ENDED = [status.value for status in statuses.ENDED]
FROM: Final = {  # the statuses that a verb is for
    Verb.CANCEL: ["pending", "running"],
    Verb.REPROCESS: ["failed", "cancelled"],
    Verb.RESTORE: ["cancelled"],
    Verb.PRIORITY: ["pending"],
    Verb.QUEUE: ["pending"],
    Verb.FAIL: ["completed"],
    Verb.DELETE: _ENDED,
}
# What a verb asks for beside its statuses, and why it leaves a job that is not so.
_BESIDE: Final = {
    Verb.REPROCESS: (interventions.FREE, Refusal.KEY_TAKEN),
    Verb.DELETE: (interventions.DECIDED, Refusal.OPEN_ENTRY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`done`: the numbers that were changed; `refused`: number -> why not (`jobs.refusals.said` says it); `asked`: those of `done` that
    still run, for cancelling was only asked for."""

    done: list[int]
    refused: dict[int, Refusal]
    asked: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a verb would do now. `tasks`: how many jobs of each it would change; `running`: how many of these run, and can only be asked
    to stop; `left`: how many it would not change, and why; `newest`: a few of those that it would."""

    tasks: Counter[str]
    running: int
    left: Counter[Refusal]
    newest: list[int]


def foresee(what: Verb, ids: Iterable[int]) -> Foreseen:
    """What the verb would do with these jobs, for a preview."""
    ids = numbers_of(ids)
    tasks: Counter[str] = Counter()
    left: Counter[Refusal] = Counter()
    newest: list[int] = []
    running = 0
    beside = _BESIDE[what][0] if what in _BESIDE else "true"
    with connections[configuration().database].cursor() as cursor:
        kept = removal.referred(cursor, ids) if what is Verb.DELETE else set[int]()
        others = [id for id in ids if id not in kept]
        for task, status, changes, number, some in interventions.foreseen(cursor, others, FROM[what], beside):
            if changes:
                tasks[task] += number
                running += number if status == "running" else 0
                newest += some
            else:
                left[_why_not(what, status)] += number
        for _task, status, changes, number, _some in interventions.foreseen(cursor, list(kept), FROM[what], beside) if kept else ():
            left[Refusal.REFERRED if changes else _why_not(what, status)] += number
    if missing := len(ids) - tasks.total() - left.total():
        left[Refusal.MISSING] = missing
    return Foreseen(tasks=tasks, running=running, left=left, newest=newest)


def _why_not(what: Verb, status: str) -> Refusal:
    return _BESIDE[what][1] if what in _BESIDE and status in FROM[what] else of_status(status)


def _apply(
    what: Verb,
    ids: Iterable[int],
    by: str | Actor,
    verb: Callable[[Any, list[int]], list[int]],
    why_not: Callable[[Job], Refusal],
    reason: str,
    arguments: Collection[str] = (),
) -> Report:
    """`reason` is what the person said, "" for nothing; `arguments`: names that `verb` gives other values."""
    return _applied(what, numbers_of(ids), actor_of(by), verb, why_not, text_of("reason", reason), arguments)


@collisions.made_again
def _applied(
    what: Verb,
    wanted: list[int],
    actor: Actor,
    verb: Callable[[Any, list[int]], list[int]],
    why_not: Callable[[Job], Refusal],
    note: str,
    arguments: Collection[str],
) -> Report:
    """Lock, change and record in one transaction."""
    alias = configuration().database
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        before = audit.seen(cursor, wanted, statuses=FROM[what], arguments=arguments)
        done = verb(cursor, list(before))
        changed = {id: before[id] for id in done}
        audit.record(cursor, actor, what, changed, audit.seen(cursor, done, arguments=arguments), masking.argument, note=note)
    left = set(wanted) - set(done)
    found = Job.objects.using(alias).defer(*HEAVY).in_bulk(left)
    return Report(done=sorted(done), refused={id: why_not(found[id]) if id in found else Refusal.MISSING for id in sorted(left)})


def _is(job: Job) -> Refusal:
    return of_status(job.status)


def cancel(ids: Iterable[int], by: str | Actor, *, reason: str = "") -> Report:
    """Cancel jobs that wait, and ask for those that run to be stopped. The audit keeps the `reason`, and the job's page says it."""
    name, asked = actor_of(by).name, list[int]()

    def verb(cursor: Any, some: list[int]) -> list[int]:
        done = interventions.cancel(cursor, some, name)
        asked[:] = interventions.ask_cancel(cursor, some, name)  # all of it may be made again
        return done + asked

    return replace(_apply(Verb.CANCEL, ids, by, verb, _is, reason), asked=sorted(asked))


def reprocess(
    ids: Iterable[int], by: str | Actor, *, arguments: Mapping[str, Any] | None = None, priority: int | None = None, reason: str = ""
) -> Report:
    """Run failed or cancelled jobs again, with all their retries; closes their open dead letters.

    `arguments`: values for named arguments that replace those of each job, the audit keeps both; `priority`: a new one for all of them;
    `reason`: for the audit. Raises ValueError when no job may have the priority, InvalidJob when none may have the arguments.
    """
    if priority is not None and (wrong := wrong_priority(priority)):
        raise ValueError(wrong)
    name, values = clean(actor_of(by).name, 200), {} if arguments is None else replacing(arguments)

    def verb(cursor: Any, some: list[int]) -> list[int]:
        some = interventions.with_named(cursor, some) if values else some
        done = interventions.reprocess(cursor, some, changed=bool(values))
        if values:
            interventions.set_arguments(cursor, done, values)
        if priority is not None:
            interventions.change_priority(cursor, done, priority)
        entries = DeadLetterQueue.objects.using(configuration().database).filter(job_id__in=done, resolution="open")
        in_order = entries.select_for_update().order_by("id").values_list("id", flat=True)  # as everybody locks them
        entries.filter(id__in=list(in_order)).update(
            resolution="reprocessed", resolved_by=name, resolved_at=ClockTimestamp(), notify_after=None
        )
        return done

    return _revive(Verb.REPROCESS, ids, by, verb, reason, values)


def restore(ids: Iterable[int], by: str | Actor, *, reason: str = "") -> Report:
    """Let cancelled jobs that had been waiting wait again as before: due when they were, with the attempts they had."""
    return _revive(Verb.RESTORE, ids, by, interventions.restore, reason)


def _revive(
    what: Verb,
    ids: Iterable[int],
    by: str | Actor,
    verb: Callable[[Any, list[int]], list[int]],
    reason: str,
    arguments: Collection[str] = (),
) -> Report:
    def why_not(job: Job) -> Refusal:
        if not statuses.can(what.value, job.status):
            return _is(job)
        if arguments and not isinstance(job.kwargs, dict):
            return Refusal.UNREADABLE
        return Refusal.KEY_TAKEN if job.had_waited or what is not Verb.RESTORE else Refusal.NOT_WAITING

    ids = numbers_of(ids)  # which are looked at once more each time
    for _tried in range(3):
        try:
            return _apply(what, ids, by, verb, why_not, reason, arguments)
        except IntegrityError:  # a job with the same unique key was accepted in this very moment; the next look sees it
            continue
    return _apply(what, ids, by, verb, why_not, reason, arguments)


def run_again(job: Job, by: str | Actor, *, reason: str = "", **options: Any) -> Job:
    """A new job of the same task; `options` are those of enqueue(). The audit of each names the other. Raises InvalidJob.

    It stands alone: what followed from the old one (a link, a chain or a chord) does not follow from it, nor has it the unique key.
    """
    alias, actor, note = configuration().database, actor_of(by), text_of("reason", reason)
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        new = enqueue(job.task, **{"timeout": job.timeout} | options)
        audit.link(cursor, actor, Verb.AGAIN, old=(job.pk, str(job.name or job.task)), new=(new.pk, str(new.name or new.task)), note=note)
    return new


def change_priority(ids: Iterable[int], priority: int, by: str | Actor = "", *, reason: str = "") -> Report:
    """Give waiting jobs another priority (0-9, 9 runs first). Raises ValueError outside that range."""
    if wrong := wrong_priority(priority):
        raise ValueError(wrong)
    return _apply(Verb.PRIORITY, ids, by, lambda cursor, some: interventions.change_priority(cursor, some, priority), _is, reason)


def change_queue(ids: Iterable[int], queue: str, by: str | Actor = "", *, reason: str = "") -> Report:
    """Move waiting jobs to another queue. Raises ValueError for a name that no queue may have."""
    if wrong := wrong_queue(queue):
        raise ValueError(wrong)
    return _apply(Verb.QUEUE, ids, by, lambda cursor, some: interventions.change_queue(cursor, some, queue), _is, reason)


def fail_completed(ids: Iterable[int], by: str | Actor, *, reason: str = "") -> Report:
    """Turn completed jobs into failed ones with a dead letter, to test the Dead Letter Queue."""
    failure = Failure(error_class="ManualFailure", message=own_failures.MANUAL % {"name": actor_of(by).name})

    def verb(cursor: Any, some: list[int]) -> list[int]:
        tasks = dict(fresh.rows(Job).filter(id__in=some).values_list("id", "task"))
        return [id for id in some if id in tasks and interventions.bury_completed(cursor, id, failure, task=tasks[id])]

    def why_not(job: Job) -> Refusal:
        return Refusal.FOLLOWED if job.status == "completed" else _is(job)

    return _apply(Verb.FAIL, ids, by, verb, why_not, reason)


def delete(ids: Iterable[int], by: str | Actor = "", *, reason: str = "") -> Report:
    """Delete ended jobs that have no open dead letter, of whose end everybody was told, and to which no row of a project refers."""
    ids, alias, referred = numbers_of(ids), configuration().database, set[int]()

    @cache
    def undecided() -> set[int]:
        entries = DeadLetterQueue.objects.using(alias).filter(job_id__in=ids, resolution="open")
        return set(entries.values_list("job_id", flat=True))

    def why_not(job: Job) -> Refusal:
        if job.status not in statuses.ENDED:
            return _is(job)
        if job.pk in undecided():
            return Refusal.OPEN_ENTRY
        return Refusal.REFERRED if job.pk in referred else Refusal.UNTOLD

    def verb(cursor: Any, some: list[int]) -> list[int]:
        def delete(part: Sequence[int]) -> list[int]:
            with transaction.atomic(using=alias):  # a savepoint
                return removal.delete_now(cursor, part)

        referred.update(removal.referred(cursor, some))
        free = [id for id in some if id not in referred]
        return removal.remove(free, delete, lambda id, _error: referred.add(id))

    return _apply(Verb.DELETE, ids, by, verb, why_not, reason)
