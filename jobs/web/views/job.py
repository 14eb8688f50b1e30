"""The list of jobs, the page of one, and what a person may do with it."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from jobs import control, registry
from jobs.domain.statuses import ENDED, Status, can
from jobs.models import Audit, DeadLetterQueue, Job, Worker
from jobs.models.dead_letter import Resolution
from jobs.store import stats
from jobs.web.access import needs
from jobs.web.filters import SEARCHED, JobFilter
from jobs.web.forms import PriorityForm
from jobs.web.labels import ltr
from jobs.web.live import render_live
from jobs.web.paging import page_of
from jobs.web.reports import page_actor, say
from jobs.web.tags import span
from jobs.web.waiting import why
from jobs.web.widgets import dress

ACTS = 10  # of the audit, on the page of a job
HEAVY = ("args", "kwargs", "result", "options")


@needs("view_job")
@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    """How many jobs are in each state, and where the one is that you look for."""
    form = JobFilter(request.GET)
    dress(form)
    page = page_of(form.apply(Job.objects.defer(*HEAVY)), request.GET)
    counts = stats.counts()
    context = {
        "form": form,
        "page": page,
        "status": request.GET.get("status", ""),
        "further": any(request.GET.get(name) for name in form.FURTHER),
        "kept": [(name, request.GET[name]) for name in form.fields if request.GET.get(name)],
        "rest": _without(request, "status"),
        "searched": SEARCHED if form.is_valid() and form.cleaned_data["q"] else 0,
        "tabs": [(state.value, number) for state, number in counts.items()],
        "total": sum(counts.values()),
        "tasks": _with_chosen(list(registry.job_types()), request.GET.get("task", "")),
        "queues": _with_chosen(stats.queue_names(), request.GET.get("queue", "")),
        "filtered": any(request.GET.get(name) for name in form.fields),
        "live": request.GET.get("live") != "off",
        "elsewhere": {"on": _address(request, ""), "off": _address(request, "off")},
    }
    return render_live(request, "jobs/job/list.html", "jobs/job/_list.html", context)


def _address(request: HttpRequest, live: str) -> str:
    query = request.GET.copy()
    query.pop("live", None)
    if live:
        query["live"] = live
    return f"?{query.urlencode()}"


def _without(request: HttpRequest, *names: str) -> str:
    """The filters of the address but these, for a link that sets them anew."""
    query = request.GET.copy()
    for name in (*names, "before", "after"):
        query.pop(name, None)
    return query.urlencode()


def _with_chosen(names: list[str], chosen: str) -> list[str]:
    return names if not chosen or chosen in names else [*names, chosen]


@needs("view_job")
@require_safe
def job_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One job; htmx asks again for its live part while it has not ended."""
    job = get_object_or_404(Job.objects.select_related("created_by"), pk=pk)
    return render_live(request, "jobs/job/detail.html", "jobs/job/_live.html", _job_context(job))


def _job_context(job: Job) -> dict[str, Any]:
    attempts = list(job.attempt_set.order_by("-run"))
    entry = DeadLetterQueue.objects.filter(job=job, resolution=Resolution.OPEN).first()
    return {
        "job": job,
        "state": job.state.value,
        "ended": Status(job.status) in ENDED,
        "answer": why(job) if job.status == Status.PENDING else None,
        "now": _now(job),
        "attempts": attempts,
        "acts": Audit.objects.filter(job=job.pk)[:ACTS],
        "entry": entry,
        "allowed_runs": None if job.max_retries is None else job.max_retries + 1,
        "can_cancel": can("cancel", job.status) and job.cancel_requested_at is None,
        "can_reprocess": can("reprocess", job.status),
        "can_reorder": job.status == Status.PENDING,
        "priorities": range(9, -1, -1),
    }


def _now(job: Job) -> str:
    """What a job does that does not wait, in one sentence."""
    if job.cancel_requested_at and job.status == Status.RUNNING:
        return _("Cancelling was asked for; the worker stops the job.")
    match Status(job.status):
        case Status.RUNNING:
            return _running(job)
        case Status.FAILED:
            return _("It failed for good and will not run again by itself.")
        case Status.CANCELLED:
            return _("A person cancelled it.")
        case Status.COMPLETED if job.cancel_requested_at:
            return _("A person asked to cancel it, but it ran to its end before.")
        case Status.COMPLETED | Status.PENDING:
            return _("It ran to its end.")


def _running(job: Job) -> str:
    worker = Worker.objects.filter(id=job.worker or 0).first()
    if worker is None or job.started_at is None:
        return _("A worker runs it now.")
    time = span((timezone.now() - job.started_at).total_seconds())
    return _("%(worker)s runs it, for %(time)s now.") % {"worker": ltr(worker.name), "time": time}


@needs("control_job")
@require_POST
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel the job."""
    say(request, "cancel", control.cancel([pk], by=page_actor(request)))
    return _back(pk)


@needs("control_job")
@require_POST
def job_reprocess(request: HttpRequest, pk: int) -> HttpResponse:
    """Run a job again that failed or was cancelled."""
    say(request, "reprocess", control.reprocess([pk], by=page_actor(request)))
    return _back(pk)


@needs("control_job")
@require_POST
def job_priority(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a waiting job another priority."""
    form = PriorityForm(request.POST)
    if not form.is_valid():
        job = get_object_or_404(Job.objects.select_related("created_by"), pk=pk)
        return render(request, "jobs/job/detail.html", {**_job_context(job), "priority_errors": form.errors["priority"]}, status=422)
    say(request, "priority", control.change_priority([pk], form.cleaned_data["priority"], by=page_actor(request)))
    return _back(pk)


def _back(pk: int) -> HttpResponseRedirect:
    get_object_or_404(Job.objects.only("pk"), pk=pk)
    return HttpResponseRedirect(reverse("jobs:detail", args=[pk]))
