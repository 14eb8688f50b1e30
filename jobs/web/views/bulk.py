"""Many jobs of the list at once: a preview of exactly these, then the act; and the list as a file."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from jobs import batches
from jobs.models import Batch, Job
from jobs.web.access import needs
from jobs.web.filters import JobFilter
from jobs.web.forms import PERMISSIONS, BulkForm
from jobs.web.reports import page_actor
from jobs.web.views.batch import preview

MOST = 100_000  # rows of one file
COLUMNS = (
    "id", "name", "task", "queue", "priority", "status", "attempts", "created_at", "run_at", "started_at", "finished_at", "last_error",
)  # fmt: skip


@needs("control_job")
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Note the chosen jobs, or all that the filters find, for a preview."""
    verb = next((one for one in PERMISSIONS if one.value == request.POST.get("verb")), None)
    if verb is None:
        return HttpResponseBadRequest(_("The choice could not be read. Go back and choose again."))
    if not request.user.has_perm(PERMISSIONS[verb]):
        return render(request, "403.html", status=403)
    ids = list(_chosen(request).order_by("pk").values_list("pk", flat=True)[: batches.MOST])
    if not ids:
        messages.warning(request, _("Nothing was selected."))
        return HttpResponseRedirect(reverse("jobs:list"))
    return HttpResponseRedirect(reverse("jobs:batch", args=[batches.draft(verb, ids, page_actor(request)).pk]))


@needs("control_job")
@require_POST
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin what was previewed."""
    batch = get_object_or_404(Batch, pk=pk, entries=False)
    if not request.user.has_perm(PERMISSIONS[batch.what]):
        return render(request, "403.html", status=403)
    form = BulkForm(batch.what, request.POST)
    if not form.is_valid():
        return preview(request, batch, form)
    try:
        begun = batches.confirm(pk, page_actor(request), **form.cleaned_data)
    except ValueError as error:
        form.add_error(None, str(error))
        return preview(request, batch, form)
    if not begun:
        messages.warning(request, _("This is not your preview, or it was confirmed before."))
    return HttpResponseRedirect(reverse("jobs:batch", args=[pk]))


@needs("view_job")
@require_safe
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The jobs that the filters find, the newest first, as CSV or as JSON lines."""
    rows = JobFilter(request.GET).apply(Job.objects.all()).order_by("-pk").values_list(*COLUMNS)[:MOST]
    if request.GET.get("format") == "json":
        lines: Iterator[Any] = (
            json.dumps(dict(zip(COLUMNS, row, strict=True)), default=str, ensure_ascii=False) + "\n" for row in _rows(rows)
        )
        return StreamingHttpResponse(lines, "application/x-ndjson", headers={"Content-Disposition": 'attachment; filename="jobs.jsonl"'})
    writer = csv.writer(_Echo())
    lines = (writer.writerow(row) for row in _table(rows))
    return StreamingHttpResponse(lines, "text/csv; charset=utf-8", headers={"Content-Disposition": 'attachment; filename="jobs.csv"'})


def _chosen(request: HttpRequest) -> QuerySet[Job, Job]:
    if request.POST.get("all"):
        return JobFilter(request.POST).apply(Job.objects.all())
    numbers = [int(text) for text in request.POST.getlist("job")[:1000] if text.isascii() and text.isdigit() and len(text) < 19]
    return Job.objects.filter(pk__in=numbers)


def _rows(rows: Any) -> Iterator[tuple[Any, ...]]:
    return rows.iterator(chunk_size=2000)


def _table(rows: Any) -> Iterator[list[Any]]:
    yield list(COLUMNS)
    for row in _rows(rows):
        yield [_harmless(value) for value in row]


def _harmless(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


class _Echo:
    """A file that gives back what is written."""

    def write(self, value: str) -> str:
        return value
