"""Bulk actions: how far they are, and stopping them."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from jobs import batches, control, rights, undoing
from jobs.domain.statuses import State, Status
from jobs.models import Batch, Job
from jobs.models.batch import BatchState
from jobs.models.job import HEAVY
from jobs.web.access import needs
from jobs.web.addresses import posted_from
from jobs.web.forms import BulkForm
from jobs.web.labels import listed
from jobs.web.live import render_live
from jobs.web.paging import page_of
from jobs.web.reports import done_text, page_actor
from jobs.web.widgets import dress

SAMPLE = 5
SHOWN_AS = {
    Status.PENDING: State.QUEUED, Status.RUNNING: State.RUNNING, Status.COMPLETED: State.COMPLETED, Status.FAILED: State.FAILED,
    Status.CANCELLED: State.CANCELLED,
}  # fmt: skip


@needs("view_job")
@require_safe
def batch_list(request: HttpRequest) -> HttpResponse:
    """All of them, the newest first."""
    return render(
        request, "jobs/batch/list.html", {"page": page_of(Batch.objects.exclude(state=BatchState.DRAFT).defer("ids"), request.GET)}
    )


@needs("view_job")
@require_safe
def batch_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """How far one is."""
    draft = Batch.objects.filter(pk=pk, state=BatchState.DRAFT).first() if not request.headers.get("HX-Request") else None
    if draft is not None:
        return preview(request, draft, BulkForm(draft.what))
    return render_live(request, "jobs/batch/detail.html", "jobs/batch/_live.html", lambda: _context(request, pk))


def _context(request: HttpRequest, pk: int) -> dict[str, Any]:
    batch = get_object_or_404(Batch.objects.defer("ids").exclude(state=BatchState.DRAFT), pk=pk)
    may = request.user.has_perm(rights.needed(batch.what, entries=batch.entries))
    became = batches.outcome(pk)
    undoable = _undoable(batch)
    taken_back_by = undoing.taken_back_by(pk) if undoable else []
    return {
        "batch": batch,
        "may_stop": batch.active and may,
        "may_undo": may and undoable and not taken_back_by,
        "taken_back_by": taken_back_by,
        "takes_back": undoing.takes_back(batch),
        "became": [(state.value, became[status.value]) for status, state in SHOWN_AS.items() if became[status.value]],
        "goes_on": batch.active or became[Status.PENDING.value] + became[Status.RUNNING.value] > 0,
    }


def preview(request: HttpRequest, batch: Batch, form: BulkForm) -> HttpResponse:
    """How many jobs are meant, which they are, and what will be left."""
    foreseen = control.foresee(batch.what, batch.ids)
    changed = foreseen.tasks.total()
    tasks = foreseen.tasks.most_common(SAMPLE) if len(foreseen.tasks) > 1 else []
    dress(form)
    context = {
        "batch": batch,
        "form": form,
        "changed": changed,
        "running": foreseen.running,
        "at_once": changed - foreseen.running,
        "left": foreseen.left.most_common(),
        "tasks": tasks,
        "other_tasks": len(foreseen.tasks) - len(tasks) if tasks else 0,
        "of_others": changed - sum(number for _task, number in tasks),
        "sample": Job.objects.filter(pk__in=foreseen.newest).defer(*HEAVY).order_by("-pk")[:SAMPLE],
        "mine": batch.actor == request.user.get_username(),
        "background": batch.total > batches.AT_ONCE,
        "undoable": batch.verb in batches.UNDOABLE,
        "filters": f"?{request.GET.urlencode()}" if request.GET else "",  # of the list where the jobs were chosen
    }
    return render(request, "jobs/batch/preview.html", context, status=422 if form.is_bound else 200)


def _for_who_may(request: HttpRequest, pk: int) -> Batch:
    """The bulk action, for who may do what it does. Raises Http404 and PermissionDenied."""
    batch = get_object_or_404(Batch.objects.defer("ids"), pk=pk)
    if not request.user.has_perm(rights.needed(batch.what, entries=batch.entries)):
        raise PermissionDenied
    return batch


@needs("view_job")
@posted_from("jobs:batch")
def batch_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the rest be as it is."""
    batch = _for_who_may(request, pk)
    if batches.stop(pk, page_actor(request)):
        messages.success(request, _("Stopped: the rest stays as it is."))
    elif batch.state == BatchState.DRAFT:
        messages.warning(request, _("This is only a preview: there is nothing to stop."))
    else:
        messages.warning(request, _("It had already ended."))
    return HttpResponseRedirect(reverse("jobs:batch", args=[pk]))


@needs("view_job")
@posted_from("jobs:batch")
def batch_undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what it changed."""
    batch, made = _for_who_may(request, pk), list[Batch]()
    try:
        made = batches.undo(pk, page_actor(request))
    except ValueError as error:  # a value that code or an INSERT gave is none that a person may give
        messages.warning(request, str(error))
    else:
        if made:
            _say_taken_back(request, batch, made)
        else:
            messages.warning(request, _nothing_back(pk))
    return HttpResponseRedirect(reverse("jobs:batches") if len(made) > 1 else reverse("jobs:batch", args=[made[0].pk if made else pk]))


def _say_taken_back(request: HttpRequest, batch: Batch, made: Sequence[Batch]) -> None:
    """What goes on in the background is told by its page."""
    ended = [new for new in made if not new.active]
    if back := sum(new.done for new in ended):
        messages.success(request, done_text("restore", back))
    if refused := sum(new.total - new.done for new in ended):
        text = ngettext(
            "%(number)s job could not be put back: the page of the bulk action says why.",
            "%(number)s jobs could not be put back: the page of the bulk action says why.",
            refused,
        )
        messages.warning(request, text % {"number": f"{refused:,}"})
    if left := batch.done - sum(new.total for new in made):
        text = ngettext(
            "%(number)s job stays as it is. It has moved on, or somebody has changed it since.",
            "%(number)s jobs stay as they are. They have moved on, or somebody has changed them since.",
            left,
        )
        messages.warning(request, text % {"number": f"{left:,}"})


def _nothing_back(pk: int) -> str:
    if earlier := undoing.taken_back_by(pk):
        return _("It has already been undone, by bulk action %(number)s.") % {"number": listed(earlier)}
    return _("It cannot be undone: the jobs have moved on, or somebody has changed them since.")


def _undoable(batch: Batch) -> bool:
    return not batch.active and not batch.entries and batch.verb in batches.UNDOABLE and batch.done > 0
