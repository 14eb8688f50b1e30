"""Many jobs of the list at once: a preview of exactly these, then the act."""

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs import batches, rights
from jobs.domain.numbers import number_of
from jobs.models import Batch, Job
from jobs.models.batch import BatchState
from jobs.web.access import needs
from jobs.web.addresses import posted_from
from jobs.web.filters import JobFilter
from jobs.web.forms import PERMISSIONS, BulkForm
from jobs.web.reports import page_actor, warn_of_queue
from jobs.web.views.batch import preview
from jobs.web.views.errors import unreadable


@needs("control_job")
@posted_from("jobs:list")
def bulk(request: HttpRequest) -> HttpResponse:
    """Note the chosen jobs, or all that the filters find, for a preview."""
    verb = next((one for one in PERMISSIONS if one.value == request.POST.get("verb")), None)
    if verb is None:
        return unreadable(request, _("The selection could not be read. Go back and select again."))
    if not request.user.has_perm(PERMISSIONS[verb]):
        raise PermissionDenied
    ids = list(_chosen(request).order_by("pk").values_list("pk", flat=True)[: batches.MOST + 1])
    if len(ids) > batches.MOST:
        messages.warning(request, _("More than %(number)s jobs match: narrow the filters.") % {"number": f"{batches.MOST:,}"})
        return _with_filters(request, reverse("jobs:list"))
    if not ids:
        messages.warning(request, _("Nothing was selected."))
        return _with_filters(request, reverse("jobs:list"))
    return _with_filters(request, reverse("jobs:batch", args=[batches.draft(verb, ids, page_actor(request)).pk]))


@needs("control_job")
@posted_from("jobs:batch")
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin what was previewed."""
    batch = get_object_or_404(Batch, pk=pk, entries=False)
    if not request.user.has_perm(rights.needed(batch.what, entries=False)):
        raise PermissionDenied
    form, is_draft = BulkForm(batch.what, request.POST), batch.state == BatchState.DRAFT
    if is_draft and not form.is_valid():
        return preview(request, batch, form)
    try:
        begun = is_draft and batches.confirm(pk, page_actor(request), **form.cleaned_data)
    except ValueError as error:
        form.add_error(None, str(error))
        return preview(request, batch, form)
    if not begun:
        messages.warning(request, _("This is not your preview, or it has already been confirmed."))
    elif queue := form.cleaned_data.get("queue"):
        warn_of_queue(request, queue)
    return HttpResponseRedirect(reverse("jobs:batch", args=[pk]))


def _with_filters(request: HttpRequest, address: str) -> HttpResponseRedirect:
    """To this address, with the filters of the list: they are still set when the way leads back to it."""
    filters = urlencode({name: request.POST[name] for name in JobFilter.base_fields if request.POST.get(name)})
    return HttpResponseRedirect(f"{address}?{filters}" if filters else address)


def _chosen(request: HttpRequest) -> QuerySet[Job, Job]:
    if request.POST.get("all"):
        return JobFilter(request.POST).apply(Job.objects.all())
    numbers = map(number_of, request.POST.getlist("job")[:1000])
    return Job.objects.filter(pk__in=[number for number in numbers if number is not None])
