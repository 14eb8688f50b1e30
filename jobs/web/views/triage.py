"""Many dead letters at once: a preview that says how many and how, then the act."""

from typing import Any

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from jobs import batches, registry
from jobs.conf import configuration
from jobs.domain.secrets import MASK
from jobs.enqueueing import InvalidJob, validate
from jobs.models import Job
from jobs.models.audit import Verb
from jobs.models.dead_letter import Resolution
from jobs.store import letters
from jobs.store.cut import cut
from jobs.web import again, recipients, selection
from jobs.web.access import TYPED, needs
from jobs.web.forms import ReprocessForm, ResolveForm
from jobs.web.health import GROWING
from jobs.web.reports import page_actor, say
from jobs.web.selection import Selection
from jobs.web.widgets import dress

SAMPLE = 5


@needs("triage_deadletterqueue", kept=TYPED)
@require_http_methods(["GET", "HEAD", "POST"])
def reprocess(request: HttpRequest) -> HttpResponse:
    """Run the jobs of a selection again: with other arguments or priority, at a pace, after a trial."""
    chosen, size, left = _chosen(request)
    if request.method == "POST" and not size.total:
        return _too_late(request, chosen)
    names = letters.arguments(chosen.rows())
    form = ReprocessForm(request.POST if request.method == "POST" else None, names=names, total=size.total)
    if request.method == "POST" and not left and form.is_valid() and _fits(chosen, form) and _stays(chosen, form):
        options: dict[str, Any] = {"reason": form.cleaned_data["reason"]}
        if form.cleaned_data["argument"]:
            options["arguments"] = {form.cleaned_data["argument"]: form.cleaned_data["value"]}
        if form.cleaned_data["priority"] is not None:
            options["priority"] = form.cleaned_data["priority"]
        return _go(request, Verb.REPROCESS, chosen, pace=form.cleaned_data["pace"], trial=form.cleaned_data["trial"], **options)
    tasks = [] if chosen.one_task else letters.tasks(chosen.rows())
    return _preview(request, "jobs/dead_letter/reprocess.html", chosen, form, size, left=left, tasks=tasks)


@needs("triage_deadletterqueue", kept=TYPED)
@require_http_methods(["GET", "HEAD", "POST"])
def resolve(request: HttpRequest) -> HttpResponse:
    """Close a selection with a note."""
    chosen, size, left = _chosen(request)
    if request.method == "POST" and not size.total:
        return _too_late(request, chosen)
    form = ResolveForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and not left and form.is_valid():
        return _go(request, Verb.RESOLVE, chosen, note=form.cleaned_data["note"])
    return _preview(request, "jobs/dead_letter/resolve.html", chosen, form, size, left=left)


def _chosen(request: HttpRequest) -> tuple[Selection, letters.Size, int]:
    """What the form was shown for, or what the address asks for, bounded by what is there now and by what one act may have.

    With its size, and how many newer entries are beyond that: a form that did not say so is shown again.
    """
    given = selection.read(request.POST if request.method == "POST" else request.GET)
    chosen = given if given.until else selection.fixed(given)
    size = letters.size(chosen.rows(), GROWING)
    if size.total <= batches.MOST:
        return chosen, size, 0
    part = selection.oldest(chosen, batches.MOST)
    return part, letters.size(part.rows(), GROWING), size.total - batches.MOST


def _preview(request: HttpRequest, template: str, chosen: Selection, form: Any, size: letters.Size, **more: Any) -> HttpResponse:
    dress(form)
    jobs = Prefetch("job", cut(Job.objects.all(), ["kwargs"]))
    rows = chosen.rows().prefetch_related(jobs).defer("traceback").order_by("-id")
    context = {"chosen": chosen, "total": size.total, "new": size.new, "sample": rows[:SAMPLE], "form": form, "most": batches.MOST, **more}
    return render(request, template, context, status=422 if form.is_bound else 200)


def _fits(chosen: Selection, form: ReprocessForm) -> bool:
    """Whether the changed argument suits the task; the newest job is asked."""
    name, value = form.cleaned_data["argument"], form.cleaned_data["value"]
    if not name:
        return True
    newest = list(chosen.rows().order_by("-id").values_list("job_id", flat=True)[:1])
    job = Job.objects.filter(pk__in=newest).only("task").annotate(length=again.LENGTH).first()
    if job is not None and again.is_too_large(job):
        text = _("The arguments of job %(number)d are larger than JOBS_MAX_ARGUMENT_BYTES (%(limit)d bytes): none of them can be changed.")
        form.add_error("argument", text % {"number": job.pk, "limit": configuration().max_argument_bytes})
        return False
    if job is None or not isinstance(job.kwargs, dict):  # such a job is left as it is
        return True
    try:
        validate(job.task, args=job.args, kwargs={**job.kwargs, name: value})
    except InvalidJob as error:
        form.add_error("value", [text for texts in error.message_dict.values() for text in texts])
        return False
    return True


def _stays(chosen: Selection, form: ReprocessForm) -> bool:
    """Whether hidden values of all these jobs go where they went."""
    name, value = form.cleaned_data["argument"], form.cleaned_data["value"]
    for task in recipients.by(name):
        signature = registry.signature(registry.job_types()[task])
        rows = chosen.rows().filter(job__task=task).select_related("job").only("job", "job__task", "job__args", "job__kwargs")
        for entry in rows.order_by("-id").iterator(chunk_size=500):
            old = again.given(entry.job, signature)
            if old.hidden - {name} and recipients.moved(task, old.values, {name: value}):
                text = _(
                    "Job %(number)d has hidden values (%(mask)s) that were meant for another address: create it as a new job, and type "
                    "them in full."
                )
                form.add_error("value", text % {"number": entry.job_id, "mask": MASK})
                return False
    return True


def _go(
    request: HttpRequest, verb: Verb, chosen: Selection, *, pace: int | None = None, trial: bool = False, **options: Any
) -> HttpResponseRedirect:
    ids = list(chosen.rows().order_by("id").values_list("id", flat=True))
    if not ids:
        return _too_late(request, chosen)
    actor = page_actor(request)
    if len(ids) == 1 and not (pace or trial):
        say(request, verb.value, batches.apply(verb, ids, actor, entries=True, **options), entries=True)
        return HttpResponseRedirect(reverse("jobs:dead_letters"))
    if pace or trial:
        batch = batches.start(verb, ids, actor, entries=True, pace=pace, trial=trial, **options)
    else:
        batch = batches.draft(verb, ids, actor, entries=True)
        batches.confirm(batch.pk, actor, **options)
    return HttpResponseRedirect(reverse("jobs:batch", args=[batch.pk]))


def _too_late(request: HttpRequest, chosen: Selection) -> HttpResponseRedirect:
    """None of the selection is open any more: say so, and begin nothing."""
    closed = any(chosen.rows(resolution).exists() for resolution in (Resolution.REPROCESSED, Resolution.RESOLVED))
    text = _("Somebody has already dealt with all of these. Nothing was changed.") if closed else _("Nothing was selected.")
    messages.warning(request, text)
    return HttpResponseRedirect(reverse("jobs:dead_letters"))
