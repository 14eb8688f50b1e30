"""The list of jobs, and the same as a file."""

from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs import registry
from jobs.conf import configuration
from jobs.domain.statuses import State
from jobs.models import Job
from jobs.models.job import HEAVY
from jobs.store import counts, found, queues
from jobs.web import download
from jobs.web.access import needs
from jobs.web.filters import Found, JobFilter, changed
from jobs.web.labels import western
from jobs.web.live import is_live, render_live
from jobs.web.paging import Page, Reach, page_of
from jobs.web.times import span
from jobs.web.views.errors import unreadable

_QUEUES = "jobs-queue-names"


@needs("view_job")
@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    """How many jobs are in each state, and where the one is that you look for."""
    return render_live(request, "jobs/job/list.html", "jobs/job/_list.html", lambda: _context(request))


def _context(request: HttpRequest) -> dict[str, Any]:
    form = JobFilter(request.GET)
    chosen = form.find(Job.objects.defer(*HEAVY))
    page = page_of(chosen.rows, request.GET, reach=_reach(chosen), rare=chosen.rare)
    status = request.GET.get("status", "")
    given = form.given()
    numbers = {} if given else counts.counts()  # beside filters they would say nothing
    states = counts.shown(numbers or dict.fromkeys(State, counts.Number()), status)
    return {
        "form": form,
        "kept": [(name, request.GET[name]) for name in form.fields if request.GET.get(name)],
        "page": page,
        "behind": chosen.behind,
        "status": status,
        "tabs": [(state.value, number, changed(request.GET, status=state.value)) for state, number in states],
        "total": counts.total(numbers),
        "all_states": changed(request.GET, status=""),
        "chips": [(name, label, value, changed(request.GET, **{name: ""})) for name, label, value in given],
        "number": _number(chosen, page) if given and form.is_valid() else None,
        # Only proposals for the fields: the live part has none of them.
        "tasks": registry.job_types,
        "queues": lambda: cache.get_or_set(_QUEUES, queues.names, 10),
        "more": any(name not in ("q", "task", "queue", "priority") for name, _label, _value in given),
        "formats": [(kind, changed(request.GET, live="", format=kind)) for kind in download.FORMATS],
        "retention": span(configuration().retention_days * 86_400),
        "live": is_live(request),
        "elsewhere": {"on": _live(request, ""), "off": _live(request, "off")},
    }


def _reach(chosen: Found) -> Reach | None:
    if chosen.reach is None:
        return None
    oldest, newest = found.ends()
    return Reach(numbers=chosen.reach, oldest=oldest, newest=newest)


def _number(chosen: Found, page: Page) -> counts.Number | None:
    """How many there are, when an index says so."""
    if chosen.reach is not None:
        return None
    if not page.newer and not page.older:
        return counts.Number(len(page.rows))
    number = chosen.rows.order_by()[: counts.EXACT + 1].count()
    return counts.Estimate(counts.EXACT) if number > counts.EXACT else counts.Number(number)


def _live(request: HttpRequest, live: str) -> str:
    query = request.GET.copy()
    query.pop("live", None)
    if live:
        query["live"] = live
    return f"?{query.urlencode()}"


@needs("view_job")
@require_safe
def job_find(request: HttpRequest) -> HttpResponse:
    """From the search box: the page of the one job with this number or Celery id, else the list of what the words find."""
    text = request.GET.get("q", "")
    numbers = Job.objects.filter(pk__in=found.by_number_or_id(western(text))).values_list("pk", flat=True)[:2]
    if len(numbers) == 1:
        return HttpResponseRedirect(reverse("jobs:detail", args=[numbers[0]]))
    return HttpResponseRedirect(f"{reverse('jobs:list')}?{urlencode({'q': text})}")


@needs("view_job")
@require_safe
def job_export(request: HttpRequest) -> HttpResponseBase:
    """All jobs that pass the filters, the newest first, as a file that is sent while it is read."""
    form, kind = JobFilter(request.GET), request.GET.get("format", "csv")
    if kind not in download.FORMATS or not form.is_valid():
        return unreadable(request, _("This address asks for a file that does not exist."))
    rows: Any = form.apply(Job.objects.select_related("created_by"))
    return download.stream(rows, kind)
