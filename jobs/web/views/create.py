"""Create a job: its task, the task's own fields, when and how; empty, or filled from an earlier job."""

import json
import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from jobs import control, registry
from jobs.conf import configuration
from jobs.domain import priority
from jobs.domain.numbers import number_of
from jobs.domain.statuses import LIVE
from jobs.enqueueing import InvalidJob, enqueue
from jobs.models import Job
from jobs.models.job import HEAVY
from jobs.store import caller
from jobs.store.locks import FORM
from jobs.web import again, forecast
from jobs.web.access import TYPED, needs
from jobs.web.arguments import PREFIX, ArgumentsForm, form_for
from jobs.web.forms import JobForm
from jobs.web.reports import page_actor
from jobs.web.widgets import dress, problems

KEPT = 20  # submissions remembered in the session


@needs("add_job", kept=TYPED)
@require_http_methods(["GET", "HEAD", "POST"])
def job_create(request: HttpRequest) -> HttpResponse:
    """Choose a task, then its fields; afterwards the job's page. `from` in the address: all as that job had it."""
    tasks, old = registry.job_types(), _old(request)
    if old and again.is_too_large(old):
        text = _("The arguments of this job are larger than JOBS_MAX_ARGUMENT_BYTES (%(limit)d bytes): the form cannot hold them.")
        messages.warning(request, text % {"limit": configuration().max_argument_bytes})
        return HttpResponseRedirect(reverse("jobs:detail", args=[old.pk]))
    name = old.task if old else request.POST.get("task") or request.GET.get("task", "")
    if name not in tasks:
        context = {"tasks": tasks, "chosen": name, "unknown": bool(name)}
        return render(request, "jobs/job/choose_task.html", context, status=422 if name else 200)
    signature, sent = registry.signature(tasks[name]), request.POST if request.method == "POST" else None
    way = _way(tasks[name])
    form = JobForm(sent, initial=_initial(way, old)).limited(old.timeout if old else way.timeout or configuration().default_timeout)
    arguments = form_for(signature)(sent, prefix=PREFIX)
    if old:
        again.fill(arguments, again.given(old, signature), name)
    if sent is not None and form.is_valid() & arguments.is_valid():
        pk = _create(request, name, form, arguments, old)
        if pk is not None:
            return _after(request, name, pk)
    dress(form)
    dress(arguments)
    context = {
        "tasks": tasks, "chosen": name, "form": form, "arguments": arguments, "old": old,
        "priorities": [str(n) for n in reversed(priority.FROM_HIGHEST)],
        "problems": problems(arguments, form),
        **forecast.forecast(name, tasks[name], form, signature),
    }  # fmt: skip
    return render(request, "jobs/job/create.html", context, status=422 if form.is_bound else 200)


def _after(request: HttpRequest, task: str, pk: int) -> HttpResponseRedirect:
    """The job's page, or the empty form again for one who makes several."""
    if "another" not in request.POST:
        return HttpResponseRedirect(reverse("jobs:detail", args=[pk]))
    messages.success(request, _("Job %(number)d was created.") % {"number": pk})
    return HttpResponseRedirect(f"{reverse('jobs:create')}?{urlencode({'task': task})}")


def _old(request: HttpRequest) -> Job | None:
    """The job that `from` names, None without it; whoever may not look at jobs may not read its arguments here."""
    text = request.GET.get("from", "")
    if not text:
        return None
    if not request.user.has_perm("jobs.view_job"):
        raise PermissionDenied
    number = number_of(text)
    rows = Job.objects.defer(*HEAVY).annotate(length=again.LENGTH)
    found = None if number is None else rows.filter(pk=number).first()
    if found is None:
        raise Http404
    return found


def _way(task: Any) -> registry.Way:
    try:
        return registry.way(task, (), {})
    except registry.WrongOption:  # the form says so once it is sent
        return registry.way(None, (), {})


def _initial(way: registry.Way, old: Job | None) -> dict[str, Any]:
    common = {"when": "now", "token": uuid.uuid4()}
    if old is None:
        return {"priority": priority.DEFAULT if way.priority is None else way.priority, "max_retries": 3, "queue": way.queue, **common}
    retries = 3 if old.max_retries is None else old.max_retries
    return {"name": old.name, "priority": old.priority, "max_retries": retries, "queue": old.queue, **common}


def _create(request: HttpRequest, task: str, form: JobForm, arguments: ArgumentsForm, old: Job | None) -> int | None:
    """The new job's number, the earlier one's when this form was sent before with the same in it, None when the job is refused."""
    mark = _mark(request.POST)
    with transaction.atomic(using=configuration().database):
        session = _locked_session(request, str(form.cleaned_data["token"]))
        sent: dict[str, int] = session.get("created", {})
        if mark in sent:
            return sent[mark]
        if (key := form.cleaned_data["unique_key"]) and (other := Job.objects.filter(unique_key=key, status__in=LIVE).first()):
            text = _("Job %(number)d with this key has not ended yet.") % {"number": other.pk}
            form.add_error("unique_key", text)
            return None
        try:
            job = _enqueue(request, task, form, arguments, old)
        except InvalidJob as error:
            _show(error, form, arguments)
            return None
        request.session["created"] = session["created"] = dict([*sent.items(), (mark, job.pk)][-KEPT:])
        session.save()  # for who waits; what Django saves after the request, where it does, has it too
    return job.pk


def _mark(sent: QueryDict) -> str:
    """Stands for the form with what is in it: who goes back, changes something and sends it again wants another job. The session keeps it,
    so it tells nothing of the arguments."""
    fields = sorted((name, values) for name, values in sent.lists() if name not in ("csrfmiddlewaretoken", "another"))
    return salted_hmac(__name__, json.dumps(fields), algorithm="sha256").hexdigest()


def _locked_session(request: HttpRequest, token: str) -> Any:
    """The session as it is stored now; a second submission of the same form waits for the first."""
    with caller.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({FORM})", [token])
    return type(request.session)(request.session.session_key)


def _enqueue(request: HttpRequest, task: str, form: JobForm, arguments: ArgumentsForm, old: Job | None) -> Job:
    data = form.cleaned_data
    options: dict[str, Any] = {name: data[name] for name in ("name", "priority", "max_retries", "queue")}
    options |= {name: data[name] for name in ("timeout", "unique_key") if data[name]}
    options |= {"args": arguments.args, "kwargs": arguments.kwargs, "run_at": form.run_at(), "created_by": request.user}
    return control.run_again(old, page_actor(request), reason=data["reason"], **options) if old else enqueue(task, **options)


def _show(error: InvalidJob, form: JobForm, arguments: ArgumentsForm) -> None:
    for name, wrong in error.error_dict.items():
        if name in ("args", "kwargs"):
            arguments.add_error(None, wrong)
        else:
            form.add_error({"run_at": "at"}.get(name, name if name in form.fields else None), wrong)
