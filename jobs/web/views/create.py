"""Create a job: its task, the task's own fields, when and how."""

import uuid
from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from jobs import registry
from jobs.domain import priority
from jobs.enqueueing import InvalidJob, enqueue
from jobs.models import Job
from jobs.web.access import needs
from jobs.web.arguments import PREFIX, ArgumentsForm, form_for
from jobs.web.forms import JobForm
from jobs.web.widgets import dress

KEPT = 20  # submissions remembered in the session


@needs("add_job")
@require_http_methods(["GET", "HEAD", "POST"])
def job_create(request: HttpRequest) -> HttpResponse:
    """Choose a task, then its fields; afterwards the job's page."""
    tasks = registry.job_types()
    name = request.POST.get("task") or request.GET.get("task", "")
    if name not in tasks:
        context = {"tasks": tasks, "chosen": name, "unknown": bool(name)}
        return render(request, "jobs/job/choose_task.html", context, status=422 if name else 200)
    arguments_class = form_for(registry.signature(tasks[name]))
    if request.method == "POST":
        form, arguments = JobForm(request.POST), arguments_class(request.POST, prefix=PREFIX)
        if form.is_valid() & arguments.is_valid():
            pk = _create(request, name, form, arguments)
            if pk is not None:
                return HttpResponseRedirect(reverse("jobs:detail", args=[pk]))
    else:
        queue = getattr(tasks[name], "queue", None) or "celery"
        initial = {"priority": priority.DEFAULT, "max_retries": 3, "when": "now", "queue": queue, "token": uuid.uuid4()}
        form, arguments = JobForm(initial=initial), arguments_class(prefix=PREFIX)
    dress(form)
    dress(arguments)
    context = {"tasks": tasks, "chosen": name, "form": form, "arguments": arguments, "priorities": [str(n) for n in range(10)]}
    return render(request, "jobs/job/create.html", context, status=422 if form.is_bound else 200)


def _create(request: HttpRequest, task: str, form: JobForm, arguments: ArgumentsForm) -> int | None:
    """The new job's number, the earlier one's when this form was sent before, None when the job is refused."""
    token = str(form.cleaned_data["token"])
    with transaction.atomic():
        session = _locked_session(request, token)
        sent: dict[str, int] = session.get("created", {})
        if token in sent:
            return sent[token]
        try:
            job = _enqueue(request, task, form, arguments)
        except InvalidJob as error:
            _show(error, form, arguments)
            return None
        session["created"] = dict([*sent.items(), (token, job.pk)][-KEPT:])
        session.save()
    return job.pk


def _locked_session(request: HttpRequest, token: str) -> Any:
    """The session as it is stored now; a second submission of the same form waits for the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [token])
    return type(request.session)(request.session.session_key)


def _enqueue(request: HttpRequest, task: str, form: JobForm, arguments: ArgumentsForm) -> Job:
    data = form.cleaned_data
    return enqueue(
        task,
        args=arguments.args,
        kwargs=arguments.kwargs,
        name=data["name"],
        priority=data["priority"],
        max_retries=data["max_retries"],
        run_at=form.run_at(),
        queue=data["queue"],
        created_by=request.user if request.user.is_authenticated else None,
    )


def _show(error: InvalidJob, form: JobForm, arguments: ArgumentsForm) -> None:
    for name, problems in error.error_dict.items():
        if name in ("args", "kwargs"):
            arguments.add_error(None, problems)
        else:
            form.add_error({"run_at": "at"}.get(name, name if name in form.fields else None), problems)
