"""One error: what it is, who looks after it, whether mails about it go out."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs import error_groups, masking
from jobs.conf import notice_recipients
from jobs.domain.moments import aware
from jobs.models import Audit, DeadLetterQueue
from jobs.models.dead_letter import RESOLUTION_LABELS
from jobs.models.job import HEAVY
from jobs.store import clock, letters
from jobs.web.access import needs
from jobs.web.addresses import posted_from
from jobs.web.forms import OwnerForm, SnoozeForm
from jobs.web.paging import page_of
from jobs.web.reports import page_actor
from jobs.web.selection import Selection
from jobs.web.views.dead_letter import light, resolution_of
from jobs.web.widgets import dress

ACTS = 10  # of the audit


@needs("view_job")
@require_safe
def group(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """One error: what it is, whether it goes on, what its jobs share."""
    return _page(request, fingerprint)


@needs("triage_deadletterqueue")
@posted_from("jobs:dead_letter_group")
def own(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Say who looks after the error."""
    form = OwnerForm(request.POST, now=letters.arranged(fingerprint).owner, visitor=request.user.get_username())
    if not form.is_valid():
        return _page(request, fingerprint, owner=form)
    name = form.cleaned_data["owner"]
    if error_groups.own([_known(fingerprint)], name, page_actor(request)):
        messages.success(
            request,
            _("%(name)s is now the owner of this error.") % {"name": f"\u2068{name}\u2069"}
            if name
            else _("This error no longer has an owner."),
        )
    return _back(fingerprint)


@needs("triage_deadletterqueue")
@posted_from("jobs:dead_letter_group")
def snooze(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Send no mail about the error for a while, or send them again."""
    form = SnoozeForm(request.POST)
    if not form.is_valid():
        return _page(request, fingerprint, snooze=form)
    until = form.until(clock.now())
    if until is None:
        if error_groups.wake([_known(fingerprint)], page_actor(request)):
            again = _("The notices of this error are sent again, including those held back.")
            messages.success(request, again if notice_recipients() else _("The snooze has ended."))
        return _back(fingerprint)
    try:
        error_groups.snooze([_known(fingerprint)], until, page_actor(request))
    except ValueError as error:
        form.add_error("at", str(error))
        return _page(request, fingerprint, snooze=form)
    later = _("The notices of this error are snoozed. Failures until then are reported in one email afterwards.")
    messages.success(request, later if notice_recipients() else _("The notices of this error are snoozed."))
    return _back(fingerprint)


def _known(fingerprint: str) -> str:
    if not DeadLetterQueue.objects.filter(fingerprint=fingerprint).exists():
        raise Http404
    return fingerprint


def _back(fingerprint: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("jobs:dead_letter_group", args=[fingerprint]))


def _page(request: HttpRequest, fingerprint: str, owner: OwnerForm | None = None, snooze: SnoozeForm | None = None) -> HttpResponse:
    entries = DeadLetterQueue.objects.filter(fingerprint=fingerprint)
    newest = entries.select_related("job").defer(*(f"job__{name}" for name in HEAVY)).order_by("-id").first()
    if newest is None:
        raise Http404
    chosen = Selection(pairs=(("group", fingerprint),), until=0)
    resolution = resolution_of(request)
    groups = letters.groups(chosen.rows(), 1).lines
    context: dict[str, Any] = {
        "newest": newest,
        "found": groups[0] if groups else None,
        "shared": letters.shared(entries, masking.argument),
        "page": page_of(light(chosen.rows(resolution)), request.GET),
        "resolution": resolution.value,
        "tabs": [(item.value, text, "") for item, text in RESOLUTION_LABELS.items()],
        "chosen": chosen,
        "acts": Audit.objects.filter(error_group=fingerprint).exclude(error_group="")[:ACTS],
        **_arranged(request, fingerprint, owner, snooze),
    }
    return render(request, "jobs/dead_letter/group.html", context, status=422 if owner or snooze else 200)


def _arranged(request: HttpRequest, fingerprint: str, owner: OwnerForm | None, snooze: SnoozeForm | None) -> dict[str, Any]:
    now = letters.arranged(fingerprint)
    snoozed = now.snoozed_until is not None and aware(now.snoozed_until) > clock.now()
    found: dict[str, Any] = {
        "owner": now.owner,
        "snoozed_until": now.snoozed_until if snoozed else None,
        "told": bool(notice_recipients()),
    }
    if request.user.has_perm("jobs.triage_deadletterqueue"):
        found["owner_form"] = owner or OwnerForm(now=now.owner, visitor=request.user.get_username())
        found["snooze_form"] = snooze or SnoozeForm()
        dress(found["owner_form"])
        dress(found["snooze_form"])
    return found
