"""Is all well? If not: what is wrong, and what to do about it."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from celery import current_app
from django.db import ProgrammingError
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs import steering
from jobs.celery_app.app import option
from jobs.store import outages, refused, sender, stats
from jobs.store.outages import Refusal
from jobs.store.queues import QueueLine
from jobs.store.stats import WorkerLine
from jobs.web.labels import at_most, listed, ltr
from jobs.web.times import clock, clock_time

GROWING: Final = 600  # seconds in which a new dead letter means that its error goes on
SLOW: Final = 300  # seconds a due job may wait before people are told
FEW: Final = 3  # queues with the same trouble that are told one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One problem: the fact, what to do, and where."""

    bad: bool
    fact: str
    advice: str
    since: datetime | None = None  # the %(time)s in the fact
    url: str = ""
    link: str = ""

    @property
    def said(self) -> str:
        """The fact, its time in the zone of the one who reads it: one reading serves all."""
        return self.fact % {"time": clock_time(self.since)} if self.since else self.fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The parts of the system and what needs a person."""

    postgres: bool
    redis: bool
    leader: bool
    alerts: tuple[Alert, ...]
    new: int  # jobs that failed for good within GROWING

    @property
    def bad(self) -> bool:
        """Whether something fails; else it only needs a look."""
        return any(alert.bad for alert in self.alerts)

    @property
    def sentence(self) -> str:
        """The headline."""
        if not self.alerts:
            return _("All is well")
        number = len(self.alerts)
        return ngettext("%(number)d issue needs attention", "%(number)d issues need attention", number) % {"number": number}


def look(workers: Sequence[WorkerLine], queues: Sequence[QueueLine]) -> Health:
    """The health of the whole system as it is now."""
    redis, vitals = stats.redis_lives(), stats.vitals(GROWING)
    writes = refused.newest() if redis else None
    alerts = [
        *part_alerts(redis, vitals.refusal, writes, vitals.leader, workers, read_only=vitals.read_only),
        *elsewhere_alerts(redis and vitals.leader and not vitals.refusal),
        *_migration_alerts(),
        *_dead_alerts(vitals.open, vitals.new),
        *queue_alerts(queues, workers),
    ]
    return Health(
        postgres=writes is None and not vitals.read_only, redis=redis and vitals.refusal is None, leader=vitals.leader,
        alerts=tuple(alerts), new=vitals.new,
    )  # fmt: skip


def part_alerts(
    redis: bool, refusal: Refusal | None, writes: Refusal | None, leader: bool, workers: Sequence[WorkerLine], *, read_only: bool
) -> list[Alert]:
    """Whether a part is away, Redis takes no messages (`refusal`), or PostgreSQL no writes at all or not what workers write (`writes`);
    whether workers have no name of their own."""
    found = []
    if read_only:
        advice = _(
            "Point DATABASE_URL at the primary, or allow writes again (default_transaction_read_only); jobs then continue by themselves."
        )
        found.append(Alert(bad=True, fact=_("PostgreSQL is not accepting writes (read-only)."), advice=advice))
    elif writes:
        advice = _(
            "Free disk space for PostgreSQL, or whatever it says is missing; the outcomes of ended jobs are kept until it accepts them."
        )
        found.append(_refusal_alert(_("PostgreSQL has been refusing what workers write since %(time)s: %(reason)s"), writes, advice))
    if not redis:
        advice = _("Start Redis again; accepted jobs are safe in PostgreSQL and continue by themselves.")
        since = outages.since(outages.REDIS)
        fact = _("Redis has been unreachable since %(time)s.") if since else _("Redis does not answer.")
        found.append(Alert(bad=True, fact=fact, since=since, advice=advice))
    elif refusal:
        advice = _("Give Redis what it asks for: more memory, disk space, or its role as primary. Accepted jobs are safe in PostgreSQL.")
        found.append(_refusal_alert(_("Redis has accepted no messages since %(time)s: %(reason)s"), refusal, advice))
    if not workers:
        advice = _("Start one: %(command)s") % {
            "command": ltr(
                f"celery -A {option(current_app._get_current_object())} worker -P gevent --concurrency=4 --prefetch-multiplier=1"
            )
        }
        found.append(Alert(bad=True, fact=_("No worker is up, so no jobs run."), advice=advice))
    for name, number in Counter(line.worker.name for line in workers).items():
        if number > 1:
            fact = _("%(number)d workers share the name “%(name)s”: telling one of them to drain, resume or shut down tells them all.")
            advice = _("Give each a name of its own: %(option)s") % {"option": ltr("-n mail@%h")}
            found.append(Alert(bad=False, fact=fact % {"number": number, "name": ltr(name)}, advice=advice))
    if workers and not leader:
        advice = _("Each worker starts one. Start another worker, or run: %(command)s") % {"command": ltr("python manage.py dispatch")}
        found.append(Alert(bad=True, fact=_("No leader is up: waiting jobs are not handed to workers."), advice=advice))
    return found


def elsewhere_alerts(ask: bool) -> list[Alert]:
    """That the leader sends through another Redis; `ask`: there is one, and this one answers."""
    if not ask or not sender.is_elsewhere():
        return []
    fact = _("The leader sends jobs through a different Redis from these pages.")
    advice = _("Compare REDIS_URL and JOBS_KEY_PREFIX of workers, leaders and pages: where they differ, no job reaches the workers.")
    return [Alert(bad=True, fact=fact, advice=advice)]


def _refusal_alert(fact: str, refusal: Refusal, advice: str) -> Alert:
    fact %= {"time": "%(time)s", "reason": ltr(refusal.reason).replace("%", "%%")}
    return Alert(bad=True, fact=fact, since=refusal.since, advice=advice)


def _migration_alerts() -> list[Alert]:
    try:
        missing = stats.migrations_missing()
    except ProgrammingError:
        fact = _("Cannot tell which migrations are applied: the database role of this site may not read their table.")
        advice = _("Run: %(command)s") % {"command": ltr("GRANT SELECT ON django_migrations TO …")}
        return [Alert(bad=False, fact=fact, advice=advice)]
    if not missing:
        return []
    advice = _("Run: %(command)s") % {"command": ltr("python manage.py migrate")}
    return [Alert(bad=True, fact=_("The database is missing migrations of this version."), advice=advice)]


def _dead_alerts(dead: int, new: int) -> list[Alert]:
    if not dead:
        return []
    fact = ngettext(
        "%(number)s job failed for good and waits for a decision.", "%(number)s jobs failed for good and wait for a decision.", dead
    ) % {"number": at_most(dead, stats.NEWEST)}
    if new and dead == 1:
        fact += " " + _("It failed in the last 10 minutes.")
    elif new:  # one alone does not show that an error goes on
        more = ngettext(
            "%(number)s of them in the last 10 minutes.", "%(number)s of them in the last 10 minutes: it is still happening.", new
        )
        fact = f"{fact} {more % {'number': at_most(new, stats.NEWEST)}}"
    advice = _("Read the error, fix its cause, then reprocess the jobs or mark them as resolved.")
    return [Alert(bad=True, fact=fact, advice=advice, url=reverse("jobs:dead_letters"), link=_("Show the dead letters"))]


def queue_alerts(queues: Sequence[QueueLine], workers: Sequence[WorkerLine]) -> list[Alert]:
    """Queues that nobody serves, whose workers are drained, or that fall behind; of many with the same trouble one alert tells."""
    if not workers:
        return []
    idle = [line for line in queues if (line.waiting or line.later) and not line.workers]
    drained = steering.drained([line.worker for line in workers]) if idle else {}
    off = {line.name: names for line in idle if (names := [one for one, queues in drained.items() if line.name in queues])}
    slow = [line for line in queues if line.workers and line.oldest is not None and line.oldest > SLOW]
    return [
        *_told([line for line in idle if line.name not in off], _unserved_alert, _many_unserved),
        *_told(
            [line for line in idle if line.name in off], lambda line: _drained_alert([line], off), lambda lines: _drained_alert(lines, off)
        ),
        *_told(slow, _slow_alert, _many_slow),
    ]


def _told(
    lines: Sequence[QueueLine], one: Callable[[QueueLine], Alert], together: Callable[[Sequence[QueueLine]], Alert]
) -> Iterator[Alert]:
    yield from [together(lines)] if len(lines) > FEW else map(one, lines)


def _unserved_alert(line: QueueLine) -> Alert:
    fact = _("No worker serves the queue “%(queue)s”, and jobs are waiting in it.") % {"queue": ltr(line.name)}
    advice = _("Start a worker for it: add %(option)s to its command.") % {"option": ltr(f"-Q {shlex.quote(line.name)}")}
    return Alert(bad=False, fact=fact, advice=advice, url=_jobs_of(line), link=_("Show its jobs"))


def _many_unserved(lines: Sequence[QueueLine]) -> Alert:
    number = len(lines)
    fact = ngettext(
        "No worker serves %(number)d queue in which jobs are waiting: %(queues)s",
        "No worker serves %(number)d queues in which jobs are waiting: %(queues)s",
        number,
    )
    advice = _("Start workers for them: %(option)s with a comma-separated list of names tells a worker which queues to serve.")
    words = {"number": number, "queues": _first(lines)}
    return Alert(bad=False, fact=fact % words, advice=advice % {"option": ltr("-Q")}, url=reverse("jobs:queues"), link=_("Show the queues"))


def _slow_alert(line: QueueLine) -> Alert:
    fact = _("The queue “%(queue)s” is slow: its oldest job has been waiting for %(time)s.")
    fact %= {"queue": ltr(line.name), "time": clock(line.oldest or 0.0)}
    advice = _("Start another worker for it, or give less urgent jobs a lower priority.")
    return Alert(bad=False, fact=fact, advice=advice, url=_jobs_of(line), link=_("Show its jobs"))


def _many_slow(lines: Sequence[QueueLine]) -> Alert:
    number, worst = len(lines), max(lines, key=lambda line: line.oldest or 0.0)
    fact = ngettext(
        "%(number)d queue is slow: in “%(queue)s” a job has been waiting for %(time)s.",
        "%(number)d queues are slow: in “%(queue)s” a job has been waiting for %(time)s.",
        number,
    )
    words = {"number": number, "queue": ltr(worst.name), "time": clock(worst.oldest or 0.0)}
    advice = _("Start more workers for them, or give less urgent jobs a lower priority.")
    return Alert(bad=False, fact=fact % words, advice=advice, url=reverse("jobs:queues"), link=_("Show the queues"))


def _drained_alert(lines: Sequence[QueueLine], off: dict[str, list[str]]) -> Alert:
    names = list(dict.fromkeys(name for line in lines for name in off[line.name]))
    if len(lines) == 1:
        fact = ngettext(
            "The worker of the queue “%(queue)s” is drained, and jobs are waiting in it.",
            "The workers of the queue “%(queue)s” are drained, and jobs are waiting in it.",
            len(names),
        ) % {"queue": ltr(lines[0].name)}
    else:
        fact = ngettext(
            "The workers of %(number)d queue are drained, and jobs are waiting in it: %(queues)s",
            "The workers of %(number)d queues are drained, and jobs are waiting in them: %(queues)s",
            len(lines),
        ) % {"number": len(lines), "queues": _first(lines)}
    if len(names) <= FEW:
        advice = ngettext("To continue, resume it: %(workers)s.", "To continue, resume them: %(workers)s.", len(names))
    else:
        advice = ngettext(
            "To continue, resume %(number)d worker: %(workers)s …", "To continue, resume %(number)d workers: %(workers)s …", len(names)
        )
    advice %= {"number": len(names), "workers": listed(map(ltr, names[:FEW]))}
    return Alert(bad=False, fact=fact, advice=advice, url=reverse("jobs:workers"), link=_("Show the workers"))


def _first(lines: Sequence[QueueLine]) -> str:
    return listed(ltr(line.name) for line in lines[:FEW]) + " …"


def _jobs_of(line: QueueLine) -> str:
    return f"{reverse('jobs:list')}?{urlencode({'queue': line.name})}"
