"""“Why is this job waiting?”, in one sentence with numbers, and the gates it has to pass."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from jobs.celery_app import lanes
from jobs.domain.statuses import State
from jobs.models import Job
from jobs.store import locks, outages, waiting
from jobs.store.clock import reckoned
from jobs.store.outages import Refusal
from jobs.store.waiting import MOST, Obstacles
from jobs.web.labels import ltr
from jobs.web.tags import label, visible
from jobs.web.times import clock_time, span


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One condition for the start; the first that is closed is the reason."""

    open: bool
    text: str
    stop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The sentence, what follows from it, and the gates."""

    sentence: str
    more: str
    gates: tuple[Gate, ...]


def why(job: Job) -> Answer:
    """Why this pending job has not started."""
    facts = waiting.obstacles(job)
    place = lanes.place_of(job.pk, job.queue, job.priority)
    refusal = facts.refusal if place == 0 else None
    due_in = (job.run_at - reckoned()).total_seconds()
    texts = _gates(job, facts, _redis(place, refusal), due_in)
    closed = [at for at, gate in enumerate(texts) if not gate.open]
    gates = tuple(Gate(open=gate.open, text=gate.text, stop=at == (closed or [-1])[0]) for at, gate in enumerate(texts))
    sentence, more = _sentence(job, facts, place, refusal, due_in)
    return Answer(sentence=sentence, more=more, gates=gates)


def _sentence(job: Job, facts: Obstacles, place: int | None, refusal: Refusal | None, due_in: float) -> tuple[str, str]:
    if facts.replaced:
        return _("It was replaced by other tasks and ends when they do."), ""
    if due_in > 0:
        when = {"time": span(due_in), "clock": clock_time(job.run_at, seconds=True)}
        if job.state is State.RETRYING:
            return _retry(job, when), _then(facts)
        return _("It is scheduled for %(clock)s, in %(time)s.") % when, _then(facts)
    if place is None:
        safe = _("It is safe in PostgreSQL and continues when Redis is back.")
        if since := outages.since(outages.REDIS):
            return _("Redis has been unreachable since %(time)s, so no job is handed to a worker.") % {"time": clock_time(since)}, safe
        return _("Redis does not answer, so no job is handed to a worker."), safe
    if refusal:
        said = {"time": clock_time(refusal.since), "reason": ltr(refusal.reason)}
        return _("Redis has accepted no messages since %(time)s, so no job is handed to a worker: %(reason)s") % said, _(
            "It is safe in PostgreSQL and continues when Redis accepts messages again."
        )
    if not facts.any_worker:
        return _("No worker is up, so no jobs run."), ""
    if not facts.leader:
        return _("No leader is up: waiting jobs are not handed to workers."), ""
    if not facts.workers:
        return _("No live worker serves its queue, %(queue)s.") % {"queue": ltr(visible(job.queue))}, ""
    if not facts.known:
        return _("No worker of its queue has the task %(task)s.") % {"task": ltr(visible(job.task))}, _(
            "A job whose task no worker knows for a minute fails for good."
        )
    if facts.suspects:
        return _("It lost its worker twice, so it runs only when no other such job does."), ""
    if facts.lone is not None:
        return _lone(job, facts.lone), ""
    return _turn(facts, place)


def _retry(job: Job, when: dict[str, str]) -> str:
    numbers = {"number": f"{job.attempts:,}", **when}
    if job.max_retries is None:
        return _("Attempt %(number)s failed; the next begins in %(time)s, at %(clock)s.") % numbers
    numbers["all"] = f"{job.max_retries + 1:,}"
    return _("Attempt %(number)s of %(all)s failed; the next begins in %(time)s, at %(clock)s.") % numbers


def _lone(job: Job, lone: Job) -> str:
    """It may kill its worker: this one itself, or the one that this one waits for."""
    if lone.pk == job.pk:
        return _("It lost its worker twice, so it waits for the jobs running on its worker to end, at most %(time)s.") % {
            "time": span(locks.NEIGHBOURS_S)
        }
    return _("It waits for job %(number)d, which lost its worker twice and runs alone, at most %(time)s.") % {
        "number": lone.pk, "time": span(locks.ALONE_S),
    }  # fmt: skip


def _turn(facts: Obstacles, place: int) -> tuple[str, str]:
    """The job could start: whom it waits for."""
    if facts.ahead:
        return _ahead(facts), _taken(facts)
    if len(facts.busy) >= facts.slots:
        return _("It is next, as soon as a slot is free."), _taken(facts)
    if place:
        return _("Its message is in Redis at place %(place)d of its lane; a worker is about to take it.") % {"place": place}, ""
    return _("A slot is free: it starts now."), ""


def _ahead(facts: Obstacles) -> str:
    number = facts.ahead
    if number > MOST:
        return _("More than %(number)s jobs are ahead of it.") % {"number": f"{MOST:,}"}
    if facts.seconds is None:
        return ngettext("%(number)s job is ahead of it.", "%(number)s jobs are ahead of it.", number) % {"number": f"{number:,}"}
    text = ngettext("%(number)s job is ahead of it, about %(time)s.", "%(number)s jobs are ahead of it, about %(time)s.", number)
    return text % {"number": f"{number:,}", "time": span(facts.seconds)}


def _then(facts: Obstacles) -> str:
    """What will go first once the job is due, as far as it is due itself today."""
    if not facts.ahead or facts.ahead > MOST:
        return ""
    text = ngettext(
        "If it were due now, %(number)s job would be ahead of it.", "If it were due now, %(number)s jobs would be ahead of it.", facts.ahead
    )
    return text % {"number": f"{facts.ahead:,}"}


def _taken(facts: Obstacles) -> str:
    """Who holds the slots."""
    busy = facts.busy
    if not busy or len(busy) < facts.slots or busy[0].started_at is None:
        return ""
    longest = (reckoned() - busy[0].started_at).total_seconds()
    text = ngettext(
        "The only slot has been taken by %(name)s for %(time)s.",
        "All %(number)d slots are taken; %(name)s has been running longest, for %(time)s.",
        facts.slots,
    )
    return text % {"number": facts.slots, "name": f"\u2068{visible(label(busy[0]))}\u2069", "time": span(longest)}


def _redis(place: int | None, refusal: Refusal | None) -> Gate:
    if place is None:
        return Gate(open=False, text=_("Redis does not answer"))
    return Gate(open=refusal is None, text=_("Redis answers") if refusal is None else _("Redis is not accepting messages"))


def _gates(job: Job, facts: Obstacles, redis: Gate, due_in: float) -> list[Gate]:
    number = len(facts.workers)
    serving = ngettext(
        "%(number)d worker serves its queue (slots: %(slots)d)", "%(number)d workers serve its queue (slots: %(slots)d)", number
    ) % {"number": number, "slots": facts.slots}
    free = facts.slots - len(facts.busy)
    if job.max_retries is None:
        left = _("Attempts: %(number)s, no limit") % {"number": f"{job.attempts:,}"}
    else:
        left = _("Attempts: %(number)s of %(all)s") % {"number": f"{job.attempts:,}", "all": f"{job.max_retries + 1:,}"}
    leader = Gate(open=facts.leader, text=_("The leader is up") if facts.leader else _("No leader is up"))
    workers = Gate(open=bool(facts.workers), text=serving if facts.workers else _("No worker serves its queue"))
    return [
        _due(facts, due_in),
        redis,
        *([leader, workers] if facts.any_worker else [workers, leader]),  # each worker brings a leader: without one the worker is missing
        Gate(open=facts.known, text=_("Its workers have the task") if facts.known else _("No worker of its queue has the task")),
        Gate(open=not facts.suspects, text=left),
        *_company(job, facts.lone),
        Gate(
            open=not facts.ahead,
            text=_ahead(facts) if facts.ahead else _("Nothing is ahead of it"),
        ),
        Gate(open=free > 0, text=_("Free slots: %(free)d of %(slots)d") % {"free": max(free, 0), "slots": facts.slots}),
    ]


def _company(job: Job, lone: Job | None) -> list[Gate]:
    if lone is None:
        return []
    return [
        Gate(
            open=False,
            text=_("The jobs running on its worker have not ended")
            if lone.pk == job.pk
            else _("Nothing starts alongside job %(number)d now") % {"number": lone.pk},
        )
    ]


def _due(facts: Obstacles, due_in: float) -> Gate:
    if facts.replaced:
        return Gate(open=False, text=_("The tasks that replaced it have not ended"))
    return Gate(open=due_in <= 0, text=pgettext("gate", "Due") if due_in <= 0 else _("Due in %(time)s") % {"time": span(due_in)})
