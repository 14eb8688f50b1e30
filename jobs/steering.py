"""What people ask of workers, through Celery's own remote control; recorded in the audit."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from celery import current_app
from django.db import connections
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from jobs.conf import configuration
from jobs.domain.actors import Actor
from jobs.domain.errors import JobError
from jobs.models import Audit, Worker
from jobs.models.audit import Verb
from jobs.store import audit, fresh

TIMEOUT_S: Final = 2.0  # for the worker's answer


class NoAnswer(JobError):
    """The worker did not answer."""


def drain(worker: Worker, by: Actor, *, reason: str = "") -> None:
    """Let the worker take no further job; what it runs goes on. Raises NoAnswer, perhaps after some of its queues."""
    left = list(worker.queues)
    try:
        while left:
            _ask("cancel_consumer", worker, left[0])
            del left[0]
    finally:
        if left != worker.queues:
            _record(Verb.DRAIN, worker, by, {"queues": worker.queues}, {"queues": left}, reason)


def resume(worker: Worker, by: Actor, *, reason: str = "") -> None:
    """Let a drained worker serve its queues again. Raises NoAnswer, perhaps after some of its queues."""
    served = list(worker.queues)
    try:
        for queue in former_queues(worker):
            _ask("add_consumer", worker, queue)
            served.append(queue)
    finally:
        if served != worker.queues:
            _record(Verb.RESUME, worker, by, {"queues": worker.queues}, {"queues": served}, reason)


def shut_down(worker: Worker, by: Actor, *, reason: str = "") -> None:
    """Let the worker end: what it runs has JOBS_SHUTDOWN_GRACE seconds, then it is released. Raises NoAnswer."""
    _ask("ping", worker)
    with _redis():
        current_app.control.shutdown(destination=[worker.name])
    _record(Verb.SHUTDOWN, worker, by, {"queues": worker.queues}, {}, reason)


def former_queues(worker: Worker) -> list[str]:
    """What the worker served before it was drained, and does not serve now."""
    return drained([worker]).get(worker.name, [] if worker.queues else [current_app.conf.task_default_queue])


def drained(workers: Sequence[Worker]) -> dict[str, list[str]]:
    """By name: what those of the workers that are drained, if only in part, served before and do not serve now."""
    started = {worker.name: worker.started_at for worker in workers}
    found: dict[str, list[str]] = {name: [] for name in started}
    if not started:
        return found
    acts = fresh.rows(Audit).filter(verb__in=(Verb.DRAIN, Verb.RESUME), name__in=started, at__gte=min(started.values()))
    for act in acts.order_by("id"):  # of both kinds there may be some that were answered in part
        if act.at < started[act.name]:
            continue
        if act.verb == Verb.RESUME:
            found[act.name] = [queue for queue in found[act.name] if queue not in act.after["queues"]]
        else:
            found[act.name] = list(dict.fromkeys([*found[act.name], *act.before["queues"]]))
    lacking = {worker.name: [queue for queue in found[worker.name] if queue not in worker.queues] for worker in workers}
    return {name: queues for name, queues in lacking.items() if queues}


def memory(worker: Worker) -> int | None:
    """The most memory the process has had, in bytes; None when it does not answer or its system does not say. Of a worker on another
    system than this process's it may be wrong: what it says has no unit.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    try:
        found = current_app.control.inspect(destination=[worker.name], timeout=TIMEOUT_S / 2).stats() or {}
        return int(found[worker.name]["rusage"]["maxrss"]) * unit
    except (KeyError, TypeError, ValueError):
        return None
    except _broker_errors():
        return None


def _ask(command: str, worker: Worker, *arguments: Any) -> None:
    control = current_app.control
    with _redis():
        if command == "ping":
            answers = control.ping(destination=[worker.name], timeout=TIMEOUT_S)
        else:
            answers = getattr(control, command)(*arguments, destination=[worker.name], reply=True, timeout=TIMEOUT_S)
    if not answers:
        raise NoAnswer(_("%(worker)s did not answer within %(seconds)d s.") % {"worker": worker.name, "seconds": TIMEOUT_S})


@contextmanager
def _redis() -> Iterator[None]:
    """What is asked of it within. Raises NoAnswer when it is away."""
    try:
        yield
    except _broker_errors() as error:
        raise NoAnswer(_("Redis does not answer.")) from error


def _broker_errors() -> tuple[type[Exception], ...]:
    with current_app.connection_for_write() as connection:
        return (*connection.connection_errors, *connection.channel_errors, OperationalError, OSError)


def _record(verb: Verb, worker: Worker, by: Actor, before: dict[str, Any], after: dict[str, Any], reason: str) -> None:
    with connections[configuration().database].cursor() as cursor:
        audit.steered(cursor, by, verb, worker.name, before, after, note=reason)
