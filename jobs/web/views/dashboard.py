"""The dashboard and the pages of queues and workers."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from jobs import steering
from jobs.celery_app import lanes
from jobs.store import counts, letters, outages, refused, stats, types
from jobs.store.clock import reckoned
from jobs.store.history import Period, history
from jobs.store.queues import QueueLine
from jobs.store.queues import lines as queue_lines
from jobs.web import health
from jobs.web.access import needs
from jobs.web.charts import PERIODS, charts
from jobs.web.figures import figures
from jobs.web.filters import changed
from jobs.web.live import is_live, kept_part, reading, render_live

GROUPS = 6
QUEUES = 12  # more are on their own page, or the charts below them would be out of sight


@needs("view_job")
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Is all well, how many jobs are where, what runs, what failed last."""
    if request.headers.get("HX-Target") == "charts":
        return kept_part(request, "jobs/dashboard/_charts.html", lambda: _charts(request))
    if request.headers.get("HX-Request"):
        return kept_part(request, "jobs/dashboard/_live.html", lambda: _live(request))
    return render_live(request, "jobs/dashboard/dashboard.html", "", lambda: _live(request) | _charts(request))


def _live(request: HttpRequest) -> dict[str, Any]:
    # One reading serves all who look: what stands in it is in a language.
    facts: dict[str, Any] = reading(f"jobs-dashboard-{get_language()}", _facts)
    return {**facts, "live": is_live(request), "on": changed(request.GET, live=""), "off": changed(request.GET, live="off")}


def _facts() -> dict[str, Any]:
    workers = stats.workers()
    lines = queue_lines(workers)
    slots = sum(line.slots for line in workers)
    found = health.look(workers, lines)
    shown = figures(counts.shown(counts.counts()), slots=slots, rate=sum(line.rate for line in lines), new=found.new)
    return {
        "health": found,
        "figures": shown,
        "nothing": not any(one.number for one in shown),  # as on the first visit
        "workers": workers,
        "usual": types.usual(),
        "slots": slots,
        "busy": sum(len(line.running) for line in workers),
        "queues": _busiest(lines),
        "more_queues": max(len(lines) - QUEUES, 0),
        "oldest": max((line for line in lines if line.oldest is not None), key=lambda line: line.oldest or 0.0, default=None),
        "groups": letters.groups(letters.entries(), GROUPS, hours=0).lines,
    }


def _busiest(lines: Sequence[QueueLine]) -> list[QueueLine]:
    """QUEUES of them at most, in their own order."""
    chosen = sorted(lines, key=lambda line: line.running + line.waiting + line.rate, reverse=True)[:QUEUES]
    return [line for line in lines if line in chosen]


def _charts(request: HttpRequest) -> dict[str, Any]:
    given = request.GET.get("hours", "")
    period = next((one for one in Period if str(one.value) == given), Period.HOUR)
    return {
        "charts": charts(history(period, reckoned())),
        "periods": [(one.value, text) for one, text in PERIODS.items()],
        "hours": period.value,
        "charts_address": f"{request.path}?hours={period.value}",
        "live": is_live(request),
    }


@needs("view_job")
@require_safe
def queues(request: HttpRequest) -> HttpResponse:
    """What waits in each queue and lane, what lies in Redis, and who serves it."""
    return render_live(request, "jobs/queue/list.html", "jobs/queue/_live.html", lambda: _queues(request))


def _queues(request: HttpRequest) -> dict[str, Any]:
    served = stats.workers()
    lines = queue_lines(served)
    lying = lanes.lengths([line.name for line in lines])
    rows = [
        {
            "name": line.name,
            "workers": line.workers,
            "lanes": [
                {
                    "priority": lane.priority,
                    "waiting": lane.waiting,
                    "later": lane.later,
                    "lying": (lying or {}).get((line.name, lane.priority), 0),
                    "oldest": lane.oldest,
                }
                for lane in line.lanes
            ],
        }
        for line in lines
    ]
    return {
        "queues": lines,
        "waiting": sum(line.waiting for line in lines),
        "later": sum(line.later for line in lines),
        "oldest": max((line.oldest or 0.0 for line in lines), default=0.0),
        "alerts": health.queue_alerts(lines, served),
        "lanes": rows,
        "lying": lying,
        "live": is_live(request),
    }


@needs("view_job")
@require_safe
def workers(request: HttpRequest) -> HttpResponse:
    """Each live worker and what its slots do."""
    return render_live(request, "jobs/worker/list.html", "jobs/worker/_live.html", lambda: _workers(request))


def _workers(request: HttpRequest) -> dict[str, Any]:
    lines = stats.workers()
    redis, (leader, refusal) = stats.redis_lives(), stats.leader_and_refusal()
    return {
        "workers": lines,
        "drained": steering.drained([line.worker for line in lines]),
        "slots": sum(line.slots for line in lines),
        "busy": sum(len(line.running) for line in lines),
        "leader": leader,
        "alerts": [
            *health.part_alerts(redis, refusal, refused.newest() if redis else None, leader, lines, read_only=outages.is_read_only()),
            *health.elsewhere_alerts(redis and leader and not refusal),
        ],
        "usual": types.usual(),
        "live": is_live(request),
    }
