"""One worker: what it is and runs; drain, resume and shutdown, each asked for twice."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from jobs import steering
from jobs.conf import configuration
from jobs.models import Job
from jobs.models.job import HEAVY
from jobs.store import found, stats, types
from jobs.store.stats import WorkerLine
from jobs.web.access import needs
from jobs.web.forms import ReasonForm
from jobs.web.reports import page_actor
from jobs.web.times import span
from jobs.web.widgets import dress

LAST = 10  # jobs shown
VERBS = {"drain": steering.drain, "resume": steering.resume, "shutdown": steering.shut_down}


@needs("view_job")
@require_safe
def worker_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Versions, queues, tasks, memory, its slots and its last jobs."""
    line = _line(pk)
    last = Job.objects.filter(worker=pk, status="running").defer(*HEAVY).order_by("-started_at")
    ended = Job.objects.filter(worker=pk, pk__gt=found.ends()[1] - 50_000).exclude(status="running")
    context = {
        "line": line,
        "workers": [line],
        "drained": steering.drained([line.worker]),
        "slots": line.slots,
        "busy": len(line.running),
        "usual": types.usual(),
        "memory": steering.memory(line.worker),
        "last": [*last, *ended.defer(*HEAVY).order_by("-pk")[:LAST]],
    }
    return render(request, "jobs/worker/detail.html", context)


@needs("operate_worker")
@require_http_methods(["GET", "HEAD", "POST"])
def worker_steer(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Say what will happen, then ask the worker."""
    line = _line(pk)
    if verb not in VERBS:
        raise Http404
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        dress(form)
        former = steering.former_queues(line.worker) if verb == "resume" else []
        context = {"line": line, "verb": verb, "former": former, "form": form, "grace": span(configuration().shutdown_grace)}
        return render(request, "jobs/worker/steer.html", context, status=422 if form.is_bound else 200)
    try:
        VERBS[verb](line.worker, page_actor(request), reason=form.cleaned_data["reason"])
    except steering.NoAnswer as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The worker has been told."))
    return HttpResponseRedirect(reverse("jobs:workers"))


def _line(pk: int) -> WorkerLine:
    line = next((line for line in stats.workers() if line.worker.pk == pk), None)
    if line is None:
        raise Http404
    return line
