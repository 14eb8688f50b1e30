"""The dead letter queue: read the errors, decide."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Prefetch
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs import dead_letters
from jobs.models import Job
from jobs.models.dead_letter import RESOLUTION_LABELS, Resolution
from jobs.models.job import HEAVY
from jobs.store import letters
from jobs.store.letters import Entries
from jobs.web import selection
from jobs.web.access import needs
from jobs.web.addresses import posted_from, safe_target
from jobs.web.forms import TriageForm
from jobs.web.labels import at_most
from jobs.web.paging import page_of
from jobs.web.reports import page_actor, say
from jobs.web.views.errors import unreadable

GROUPS = 20
SHORT = 2_000  # bytes of arguments that are shown in a line
SHORT_KWARGS = "CASE WHEN octet_length(jobs_job.kwargs::text) <= %s THEN jobs_job.kwargs::text END"


@needs("view_job")
@require_safe
def dead_letter_list(request: HttpRequest) -> HttpResponse:
    """A page of the groups of equal errors, then the entries with one resolution, the newest first."""
    chosen = selection.read(request.GET)
    resolution = resolution_of(request)
    rows = chosen.rows(resolution)
    groups, pages = _groups(rows, request.GET)
    numbers = {} if chosen.pairs else {name: at_most(number, letters.MOST) for name, number in letters.numbers().items()}
    context = {
        "page": page_of(light(rows), request.GET),
        "resolution": resolution.value,
        "tabs": [(item.value, text, numbers.get(item.value)) for item, text in RESOLUTION_LABELS.items()],
        "chosen": chosen,
        "filters": dict(chosen.pairs),
        "groups": groups.lines,
        "kinds": groups.kinds,
        "total": groups.total if resolution is Resolution.OPEN else 0,
        "pages": pages,
        "top": groups.top,
        "share": round(groups.most * 100 / groups.total) if groups.total else 0,
    }
    return render(request, "jobs/dead_letter/list.html", context)


def _groups(rows: Entries, query: QueryDict) -> tuple[letters.Groups, dict[str, Any]]:
    """The page of groups that `kinds` in the address asks for, the first where there is none, and the addresses of others."""
    text, order = query.get("kinds", ""), "most" if query.get("order") == "most" else "newest"
    start = (max(int(text), 1) - 1) * GROUPS if text.isascii() and text.isdigit() and len(text) < 10 else 0
    groups = letters.groups(rows, GROUPS, start=start, order=order)
    if start and not groups.lines:
        start, groups = 0, letters.groups(rows, GROUPS, order=order)
    end, page = start + len(groups.lines), start // GROUPS + 1
    return groups, {
        "order": order,
        "orders": {name: _address(query, name, 1) for name in ("newest", "most")},
        "first": start + 1,
        "last": end,
        "before": _address(query, order, page - 1) if start else "",
        "after": _address(query, order, page + 1) if end < groups.kinds else "",
    }


def _address(query: QueryDict, order: str, page: int) -> str:
    changed = query.copy()
    changed["order"], changed["kinds"] = order, str(page)
    return f"?{changed.urlencode()}"


def resolution_of(request: HttpRequest) -> Resolution:
    """The tab that the address asks for."""
    shown = request.GET.get("show", Resolution.OPEN.value)
    return Resolution(shown) if shown in set(Resolution) else Resolution.OPEN


def light(rows: Entries) -> Entries:
    """The rows without what may be long; their jobs are read apart, or the planner might join them before it takes a page."""
    jobs = Job.objects.defer(*HEAVY).annotate(short_kwargs=RawSQL(SHORT_KWARGS, [SHORT]))
    return rows.prefetch_related(Prefetch("job", jobs)).defer("traceback")


@needs("triage_deadletterqueue")
@posted_from("jobs:dead_letters")
def dead_letter_act(request: HttpRequest) -> HttpResponse:
    """Run again, resolve, open again or announce the chosen entries."""
    form = TriageForm(request.POST)
    if not form.is_valid():
        return unreadable(request, _("The selection could not be read. Go back and select again."))
    ids, action, by = form.cleaned_data["entry"], form.cleaned_data["action"], page_actor(request)
    match action:
        case "reprocess":
            say(request, action, dead_letters.reprocess(ids, by=by, reason=form.cleaned_data["note"]), entries=True)
        case "choose" if ids:  # without any it would be all
            return HttpResponseRedirect(f"{reverse('jobs:dead_letters_reprocess')}?{urlencode({'entry': ids}, doseq=True)}")
        case "resolve":
            say(request, action, dead_letters.resolve(ids, by=by, note=form.cleaned_data["note"]), entries=True)
        case "reopen":
            say(request, action, dead_letters.reopen(ids, by=by, note=form.cleaned_data["note"]), entries=True)
        case "notify":
            say(request, action, dead_letters.notify(ids, by=by), entries=True)
        case _:
            messages.warning(request, _("Nothing was selected."))
    return HttpResponseRedirect(safe_target(request, reverse("jobs:dead_letters")))
