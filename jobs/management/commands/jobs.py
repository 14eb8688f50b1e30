"""`manage.py jobs`: what waits, what runs, and who works."""

import json
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobs.domain.moments import aware
from jobs.domain.statuses import Status
from jobs.domain.texts import printable
from jobs.management import base
from jobs.models import Job
from jobs.models.job import STATUS_LABELS
from jobs.store import fresh, refused
from jobs.store.clock import reckoned
from jobs.store.stats import leader_lives, live_workers
from jobs.web.times import span


class Command(base.Command):
    """Counts by status and queue, the oldest job that waits, and the live workers."""

    help = gettext_noop("Show the numbers of jobs by status and queue, the oldest waiting job, and the workers.")

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract's option."""
        parser.add_argument("--json", action="store_true", help=gettext_noop("in a form for programs"))

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them as lines, or as one JSON object."""
        found = overview()
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))
            return
        for status, number in found["statuses"].items():
            later = found["not_due"] if status == Status.PENDING else 0
            self.stdout.write(
                f"{STATUS_LABELS[Status(status)]}: {number}" + (_(" (%(number)d of them not due yet)") % {"number": later} if later else "")
            )
        for queue, numbers in found["queues"].items():
            self.stdout.write(_("queue %(queue)s: %(numbers)s") % {"queue": printable(queue), "numbers": _listed(numbers)})
            if found["workers"] and Status.PENDING in numbers and not any(queue in worker["queues"] for worker in found["workers"]):
                self.stdout.write(_("No worker serves the queue “%(queue)s”, and jobs are waiting in it.") % {"queue": printable(queue)})
        oldest = found["oldest_waiting"]
        if oldest:
            due = {"id": oldest["id"], "time": span(oldest["seconds"])}
            self.stdout.write(_("oldest waiting: job %(id)d, due for %(time)s") % due)
        for worker in found["workers"]:
            text = ngettext(
                "worker %(id)d: %(name)s, %(running)d of %(slots)d slot busy",
                "worker %(id)d: %(name)s, %(running)d of %(slots)d slots busy",
                worker["slots"],
            )
            self.stdout.write(text % (worker | {"name": printable(worker["name"])}))
        if not found["workers"]:
            self.stdout.write(_("No worker is up."))
        elif not found["leader"]:
            self.stdout.write(_("No leader is up: waiting jobs are not handed to workers. Start a worker or “manage.py dispatch”."))
        if refusal := found["refused_writes"]:
            self.stdout.write(_("PostgreSQL refuses what workers write: %(reason)s") % {"reason": printable(refusal["reason"])})


def overview() -> dict[str, Any]:
    """The numbers, JSON-ready."""
    statuses = dict.fromkeys((status.value for status in Status), 0)
    queues: dict[str, dict[str, int]] = {}
    for row in fresh.rows(Job).order_by("queue", "status").values("queue", "status").annotate(number=Count("id")):
        statuses[row["status"]] += row["number"]
        queues.setdefault(row["queue"], {})[row["status"]] = row["number"]
    later = fresh.rows(Job).filter(status=Status.PENDING, run_at__gt=reckoned()).count()
    return {
        "statuses": statuses,
        "queues": queues,
        "not_due": later,
        "oldest_waiting": _oldest(),
        "workers": _workers(),
        "leader": leader_lives(),
        "refused_writes": {"since": writes.since.isoformat(), "reason": writes.reason} if (writes := refused.newest()) else None,
    }


def _oldest() -> dict[str, Any] | None:
    """The one that has been waiting longest: since it was due or, if that was past already, since it was made."""
    now = reckoned()
    waiting = fresh.rows(Job).filter(status=Status.PENDING, run_at__lte=now).annotate(since=Greatest("run_at", "created_at"))
    found = waiting.order_by("since", "id").values_list("id", "run_at", "since").first()
    if found is None:
        return None
    id, run_at, since = found
    return {"id": id, "run_at": aware(run_at).isoformat(), "seconds": (now - since).total_seconds()}


def _workers() -> list[dict[str, Any]]:
    workers = live_workers()
    running = dict(fresh.rows(Job).filter(status=Status.RUNNING).order_by().values_list("worker").annotate(Count("id")))
    found = []
    for worker in workers:
        if worker.parent is None:
            family = [worker.id, *(child.id for child in workers if child.parent == worker.id)]
            busy = sum(running.get(id, 0) for id in family)
            found.append(
                {"id": worker.id, "name": worker.name, "slots": worker.concurrency, "running": busy, "queues": list(worker.queues)}
            )
    return found


def _listed(numbers: dict[str, int]) -> str:
    return _(", ").join(f"{STATUS_LABELS[Status(status)]} {number}" for status, number in numbers.items())
