"""The page of one job, and what a person may do with it."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs import control
from jobs.domain import own_failures
from jobs.domain.moments import aware
from jobs.domain.priority import FROM_HIGHEST
from jobs.domain.statuses import ENDED, Status, can
from jobs.models import Audit, DeadLetterQueue, Job, Worker
from jobs.models.attempt import unrecorded
from jobs.models.audit import Verb
from jobs.models.dead_letter import Resolution
from jobs.store.clock import reckoned
from jobs.store.cut import cut, part
from jobs.web.access import needs
from jobs.web.addresses import posted_from
from jobs.web.forms import PriorityForm, ReasonForm
from jobs.web.labels import STATE_LABELS, isolated, ltr
from jobs.web.live import render_live
from jobs.web.relations import relations
from jobs.web.reports import page_actor, say
from jobs.web.timeline import timeline
from jobs.web.times import clock_time, span
from jobs.web.values import shown
from jobs.web.waiting import why

ACTS = 10  # of the audit, on the page of a job


@needs("view_job")
@require_safe
def job_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One job; htmx asks again for its live part while it has not ended."""

    def context() -> dict[str, Any]:
        return _job_context(_read(pk))

    return render_live(request, "jobs/job/detail.html", "jobs/job/_part.html", context)


def _read(pk: int) -> Job:
    return get_object_or_404(cut(Job.objects.select_related("created_by")), pk=pk)


def _job_context(job: Job) -> dict[str, Any]:
    attempts = list(job.attempt_set.order_by("run"))
    failed = job.status == Status.FAILED  # else it has no open entry
    entry = DeadLetterQueue.objects.filter(job=job, resolution=Resolution.OPEN).only("fingerprint").first() if failed else None
    acts = list(Audit.objects.filter(job=job.pk)[:ACTS])
    worker = Worker.objects.filter(id=job.worker).first() if job.worker and job.status != Status.PENDING else None
    can_restore = _can_restore(job, acts)
    return {
        "job": job,
        "args": shown(job, "args"),
        "kwargs": shown(job, "kwargs"),
        "result": shown(job, "result"),
        "progress": part(job, "progress").value,
        "state": job.state.value,
        "word": STATE_LABELS[job.state],
        "ended": Status(job.status) in ENDED,
        "answer": why(job) if job.status == Status.PENDING else None,
        "now": _now(job, acts, worker),
        "later": _later(job) if can_restore else "",
        "worker": worker,
        "attempts": attempts[::-1],
        "unrecorded": unrecorded(attempts),
        "line": timeline(job, attempts, reckoned()),
        "acts": acts,
        "entry": entry,
        "relations": relations(job),
        "allowed_runs": None if job.max_retries is None else job.max_retries + 1,
        "can_cancel": can("cancel", job.status) and job.cancel_requested_at is None,
        "can_restore": can_restore,
        "can_reprocess": can("reprocess", job.status),
        "can_reorder": job.status == Status.PENDING,
        "priorities": FROM_HIGHEST,
    }


def _now(job: Job, acts: Sequence[Audit], worker: Worker | None) -> str:
    """What a job does that does not wait, in one sentence; `acts` are those of the audit, the newest first; `worker` ran it last."""
    if job.cancel_requested_at and job.status == Status.RUNNING:
        return _("The job was asked to stop; its worker will stop it.")
    match Status(job.status):
        case Status.RUNNING:
            return _running(job, worker)
        case Status.FAILED:
            return _("It failed for good and will not run again by itself.")
        case Status.CANCELLED:
            return _cancelled(job, acts)
        case Status.COMPLETED if job.cancel_requested_at:
            return _("A person asked to cancel it, but it completed first.")
        case Status.COMPLETED | Status.PENDING:
            return _("It completed.")


def _cancelled(job: Job, acts: Sequence[Audit]) -> str:
    """By whom, and the reason that was given."""
    last = next((act for act in acts if act.verb in (Verb.CANCEL, Verb.REPROCESS, Verb.RESTORE)), None)
    name = last.actor if last and last.verb == Verb.CANCEL else ""
    if name and last and last.note:
        return _("%(name)s cancelled it: “%(reason)s”.") % {"name": isolated(name), "reason": isolated(last.note)}
    if name:
        return _("%(name)s cancelled it.") % {"name": isolated(name)}
    if job.last_error == own_failures.EXPIRED:
        return _("It expired before it started.")
    if job.last_error.startswith("Revoked: "):
        return _("It was revoked by code.")
    return _("It was cancelled.")


def _can_restore(job: Job, acts: Sequence[Audit]) -> bool:
    """Whether a person cancelled it while it waited, and nobody has done anything to it since."""
    waited = can("restore", job.status) and job.had_waited
    return waited and bool(acts) and acts[0].verb == Verb.CANCEL


def _later(job: Job) -> str:
    """What becomes of the due time of a job whose cancelling can be taken back; "" when it has passed."""
    if aware(job.run_at) <= reckoned():
        return ""
    text = _("It was due at %(time)s. If you reprocess it, it runs at once; if you undo the cancellation, it waits for that time.")
    return text % {"time": isolated(clock_time(job.run_at))}


def _running(job: Job, worker: Worker | None) -> str:
    if worker is None or job.started_at is None:
        return _("A worker is running it.")
    time = span((reckoned() - job.started_at).total_seconds())
    return _("%(worker)s has been running it for %(time)s.") % {"worker": ltr(worker.name), "time": time}


@needs("control_job")
@posted_from("jobs:detail")
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel the job."""
    return _act(request, pk, "cancel", ReasonForm(request.POST), control.cancel)


@needs("control_job")
@posted_from("jobs:detail")
def job_restore(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a job that was cancelled while it waited wait again, due when it was."""
    return _act(request, pk, "restore", ReasonForm(request.POST), control.restore)


@needs("control_job")
@posted_from("jobs:detail")
def job_reprocess(request: HttpRequest, pk: int) -> HttpResponse:
    """Run a job again that failed or was cancelled."""
    return _act(request, pk, "reprocess", ReasonForm(request.POST), control.reprocess)


@needs("control_job")
@posted_from("jobs:detail")
def job_priority(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a waiting job another priority."""
    return _act(request, pk, "priority", PriorityForm(request.POST), control.change_priority)


def _act(request: HttpRequest, pk: int, action: str, form: ReasonForm, verb: Callable[..., control.Report]) -> HttpResponse:
    """Do it with what the form says, or say what is wrong with that."""
    if not form.is_valid():
        job = _read(pk)
        errors = [text for texts in form.errors.values() for text in texts]
        context = {**_job_context(job), "errors": errors, "reason": form.data.get("reason", "")}
        return render(request, "jobs/job/detail.html", context, status=422)
    say(request, action, verb([pk], by=page_actor(request), **form.cleaned_data))
    get_object_or_404(Job.objects.only("pk"), pk=pk)
    return HttpResponseRedirect(reverse("jobs:detail", args=[pk]))
