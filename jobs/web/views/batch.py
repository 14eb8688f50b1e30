"""Acts on many jobs: how far they are, and stopping them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from jobs import batches
from jobs.models import Batch
from jobs.web.access import needs
from jobs.web.live import render_live
from jobs.web.paging import page_of
from jobs.web.reports import page_actor


@needs("view_job")
@require_safe
def batch_list(request: HttpRequest) -> HttpResponse:
    """All of them, the newest first."""
    return render(request, "jobs/batch/list.html", {"page": page_of(Batch.objects.defer("ids"), request.GET)})


@needs("view_job")
@require_safe
def batch_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """How far one is."""
    batch = get_object_or_404(Batch.objects.defer("ids"), pk=pk)
    context = {"batch": batch, "may_stop": batch.active and request.user.has_perm(_permission(batch))}
    return render_live(request, "jobs/batch/detail.html", "jobs/batch/_live.html", context)


@needs("view_job")
@require_POST
def batch_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the rest be as it is."""
    batch = get_object_or_404(Batch.objects.defer("ids"), pk=pk)
    if not request.user.has_perm(_permission(batch)):
        return render(request, "403.html", status=403)
    if batches.stop(pk, page_actor(request)):
        messages.success(request, _("Stopped: the rest stays as it is."))
    else:
        messages.warning(request, _("It had ended already."))
    return HttpResponseRedirect(reverse("jobs:batch", args=[pk]))


def _permission(batch: Batch) -> str:
    return "jobs.triage_deadletterqueue" if batch.entries else "jobs.control_job"
