"""Jobs shown live until they have ended: a table on a terminal, else a line for each change."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from django.utils.translation import gettext as _
from rich.console import Console
from rich.live import Live
from rich.table import Table

from jobs.domain.statuses import ENDED, Status
from jobs.models import Job
from jobs.models.job import HEAVY, STATUS_LABELS
from jobs.store import fresh
from jobs.web import waiting

INTERVAL: Final = 0.25  # seconds between two looks


def is_span(seconds: float) -> bool:
    """Whether somebody can wait so long for an end: not for ever, and not for no time."""
    return 0 < seconds < math.inf


def watch(ids: Sequence[int], say: Callable[[str], None], timeout: float) -> bool:
    """Show the jobs until all have ended; False when `timeout` seconds passed before."""
    if sys.stdout.isatty():
        with Live(console=Console(), auto_refresh=False) as live:
            return _follow(ids, timeout, lambda jobs: live.update(_table(jobs), refresh=True))
    seen: dict[int, str] = {}
    return _follow(ids, timeout, lambda jobs: _say_changes(jobs, seen, say))


def late(ids: Sequence[int], seconds: float) -> str:
    """That not all have ended in that time, and why the next one waits."""
    job = fresh.rows(Job).filter(id__in=ids, status=Status.PENDING).order_by("-priority", "run_at", "id").first()
    if job is None:
        return _("not all jobs ended within %(seconds)d s") % {"seconds": seconds}
    words = {"seconds": seconds, "id": job.pk, "why": waiting.why(job).sentence}
    return _("not all jobs ended within %(seconds)d s; job %(id)d waits: %(why)s") % words


def until(condition: Callable[[], bool], timeout: float) -> bool:
    """Look again and again; False when `timeout` seconds passed before the condition held."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(INTERVAL)
    return True


def _follow(ids: Sequence[int], timeout: float, show: Callable[[list[Job]], None]) -> bool:
    def look() -> bool:
        jobs = list(fresh.rows(Job).filter(id__in=ids).defer(*HEAVY).order_by("id"))
        show(jobs)
        return all(job.status in ENDED for job in jobs)

    return until(look, timeout)


def _say_changes(jobs: Sequence[Job], seen: dict[int, str], say: Callable[[str], None]) -> None:
    for job in jobs:
        line = _("job %(id)d, priority %(priority)d: %(status)s, runs: %(runs)d") % _values(job)
        if seen.get(job.id) != line:
            seen[job.id] = line
            say(line)


def _values(job: Job) -> dict[str, object]:
    return {"id": job.id, "priority": job.priority, "status": STATUS_LABELS[Status(job.status)], "runs": job.runs}


def _table(jobs: Sequence[Job]) -> Table:
    table = Table(_("Number"), _("Name"), _("Priority"), _("Status"), _("Runs"), _("Started"), _("Finished"))
    for job in jobs:
        times = [f"{moment:%H:%M:%S.%f}"[:-3] if moment else "" for moment in (job.started_at, job.finished_at)]
        values = _values(job)
        table.add_row(str(job.id), job.name, str(job.priority), str(values["status"]), str(job.runs), *times)
    return table
