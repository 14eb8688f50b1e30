"""The dead letter queue: read the errors, decide."""

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from jobs import dead_letters
from jobs.models import DeadLetterQueue
from jobs.models.dead_letter import RESOLUTION_LABELS, Resolution
from jobs.store import stats
from jobs.web.access import needs
from jobs.web.forms import TriageForm
from jobs.web.paging import page_of
from jobs.web.reports import page_actor, say

GROUPS = 20


@needs("view_job")
@require_safe
def dead_letter_list(request: HttpRequest) -> HttpResponse:
    """The entries with one resolution, the newest first, perhaps of one group of errors."""
    shown = request.GET.get("show", Resolution.OPEN.value)
    resolution = Resolution(shown) if shown in set(Resolution) else Resolution.OPEN
    rows = DeadLetterQueue.objects.filter(resolution=resolution).select_related("job")
    rows = rows.defer("job__args", "job__kwargs", "job__result", "job__options")
    group = "".join(letter for letter in request.GET.get("group", "")[:32] if letter.isalnum())
    if group:
        rows = rows.filter(fingerprint=group)
    context = {
        "page": page_of(rows, request.GET),
        "resolution": resolution.value,
        "tabs": [(item.value, text) for item, text in RESOLUTION_LABELS.items()],
        "group": group,
        "groups": stats.error_groups(GROUPS) if not group and resolution is Resolution.OPEN else [],
        "open_number": stats.open_dead_letters(),
    }
    return render(request, "jobs/dead_letter/list.html", context)


@needs("triage_deadletterqueue")
@require_POST
def dead_letter_act(request: HttpRequest) -> HttpResponse:
    """Run again, resolve or announce the chosen entries."""
    form = TriageForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest(_("The choice could not be read. Go back and choose again."))
    ids, action, by = form.cleaned_data["entry"], form.cleaned_data["action"], page_actor(request)
    match action:
        case "reprocess":
            say(request, action, dead_letters.reprocess(ids, by=by))
        case "resolve":
            say(request, action, dead_letters.resolve(ids, by=by, note=form.cleaned_data["note"]))
        case _:
            say(request, action, dead_letters.notify(ids, by=by))
    return HttpResponseRedirect(reverse("jobs:dead_letters"))
