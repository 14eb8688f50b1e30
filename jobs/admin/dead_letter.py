"""The dead letter queue in the admin: read the error, decide."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import npgettext, pgettext_lazy

from jobs import dead_letters, error_groups
from jobs.admin import shown
from jobs.admin.acts import act
from jobs.admin.confirm import ask
from jobs.admin.filters import FailedFilter
from jobs.admin.lists import ListAdmin, ids
from jobs.admin.reasons import ActionForm, reason_of
from jobs.domain import own_failures
from jobs.models import DeadLetterQueue, ErrorGroup
from jobs.models.audit import Verb
from jobs.store import clock
from jobs.web import selection, tags
from jobs.web.forms import SnoozeForm
from jobs.web.reports import admin_actor, say, say_groups

Rows = QuerySet[DeadLetterQueue, DeadLetterQueue]


@admin.register(DeadLetterQueue)
class DeadLetterQueueAdmin(ListAdmin):
    """Read-only; each decision is a verb."""

    list_display = (
        "number",
        "shown_job",
        "error_class",
        "shown_message",
        "attempts",
        "failed_at",
        "resolution",
        "shown_owner",
        "notified_at",
    )
    list_filter = ("resolution", ("failed_at", FailedFilter))
    search_fields = ("job",)  # shows the box; `get_search_results` reads it
    sortable_by = ("number",)
    fieldsets = (
        (
            None,
            {"fields": ("number", "linked_job", "error_class", "whole_message", "whole_traceback", "attempts", "failed_at", "fingerprint")},
        ),
        (_("Decision"), {"fields": ("resolution", "resolved_by", "resolved_at", "note", "shown_owner")}),
        (_("Notice"), {"fields": ("notified_at", "shown_notice_error", "notify_after", "notify_tries", "shown_snooze")}),
    )
    action_form = ActionForm
    actions = ("reprocess_entries", "resolve_entries", "reopen_entries", "notify_entries", "own_groups", "snooze_groups", "wake_groups")

    def get_queryset(self, request: HttpRequest) -> Rows:
        match = request.resolver_match
        listed = match is not None and match.url_name == "jobs_deadletterqueue_changelist"
        own = [f.name for f in self.opts.fields if not (listed and f.name == "traceback")]
        rows = super().get_queryset(request).select_related("job").only(*own, "job__name", "job__task")
        group = ErrorGroup.objects.filter(pk=OuterRef("fingerprint"))
        return rows.annotate(group_owner=Subquery(group.values("owner")), group_snooze=Subquery(group.values("snoozed_until")))

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """As the desk finds them: by a job's number, or by words of its name, arguments and errors without what is hidden in them."""
        return (selection.apply(queryset, (("q", search_term),)) if search_term else queryset), False

    def view_on_site(self, obj: DeadLetterQueue) -> str | None:
        """Its group of equal errors on the desk."""
        try:
            return reverse("jobs:dead_letter_group", args=[obj.fingerprint])
        except NoReverseMatch:  # a project without the desk
            return None

    @admin.display(description=_("number"), ordering="id")
    def number(self, entry: DeadLetterQueue) -> int:
        return entry.pk

    @admin.display(description=pgettext_lazy("field", "job"))
    def shown_job(self, entry: DeadLetterQueue) -> str:
        return shown.name(str(entry.job))

    @admin.display(description=pgettext_lazy("field", "job"))
    def linked_job(self, entry: DeadLetterQueue) -> str:
        return format_html('<a href="{}">{}</a>', reverse("admin:jobs_job_change", args=[entry.job_id]), shown.name(str(entry.job)))

    @admin.display(description=_("owner"))
    def shown_owner(self, entry: Any) -> str:
        return shown.name(entry.group_owner) if entry.group_owner else "-"

    @admin.display(description=_("notices snoozed until"))
    def shown_snooze(self, entry: Any) -> str:
        until: datetime | None = entry.group_snooze
        return str(display_for_value(until if until and until > clock.reckoned() else None, "-"))

    @admin.display(description=_("notice error"))
    def shown_notice_error(self, entry: DeadLetterQueue) -> str:
        return tags.notice_error(entry.notify_error) or "-"

    @admin.display(description=_("message"))
    def shown_message(self, entry: DeadLetterQueue) -> str:
        return shown.name(own_failures.said(entry.message))

    @admin.display(description=_("message"))
    def whole_message(self, entry: DeadLetterQueue) -> str:
        return shown.error(entry.message)

    @admin.display(description=_("traceback"))
    def whole_traceback(self, entry: DeadLetterQueue) -> str:
        return shown.code(entry.traceback)

    def job_of(self, row: DeadLetterQueue) -> int:
        return row.job_id

    def noun(self, number: int) -> str:
        return npgettext("counted", "dead-letter entry", "dead-letter entries", number)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_triage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.triage_deadletterqueue")

    @admin.action(description=_("Reprocess"), permissions=["triage"])
    def reprocess_entries(self, request: HttpRequest, rows: Rows) -> None:
        act(request, Verb.REPROCESS, rows, entries=True, reason=reason_of(request))

    @admin.action(description=_("Mark as resolved"), permissions=["triage"])
    def resolve_entries(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        if "confirmed" not in request.POST:
            return ask(self, request, rows, "resolve_entries", str(_("Mark these entries as resolved?")), note=True)
        note = request.POST.get("note", "").replace("\0", "")[:2000]
        act(request, Verb.RESOLVE, rows, entries=True, note=note)
        return None

    @admin.action(description=_("Open again"), permissions=["triage"])
    def reopen_entries(self, request: HttpRequest, rows: Rows) -> None:
        say(request, "reopen", dead_letters.reopen(ids(rows), by=admin_actor(request), note=reason_of(request)), entries=True)

    @admin.action(description=_("Send the notice"), permissions=["triage"])
    def notify_entries(self, request: HttpRequest, rows: Rows) -> None:
        say(request, "notify", dead_letters.notify(ids(rows), by=admin_actor(request)), entries=True)

    @admin.action(description=_("Assign their errors to me (I become the owner)"), permissions=["triage"])
    def own_groups(self, request: HttpRequest, rows: Rows) -> None:
        say_groups(request, "own", error_groups.own(_groups(rows), request.user.get_username(), by=admin_actor(request)))

    @admin.action(description=_("Snooze the notices of their errors…"), permissions=["triage"])
    def snooze_groups(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        form = SnoozeForm(request.POST if "confirmed" in request.POST else None)
        title = str(_("Snooze the notices of these errors?"))
        until = form.until(clock.now()) if form.is_valid() else None
        if until is None:
            return ask(self, request, rows, "snooze_groups", title, form=form)
        try:
            done = error_groups.snooze(_groups(rows), until, by=admin_actor(request))
        except ValueError as error:
            form.add_error("at", str(error))
            return ask(self, request, rows, "snooze_groups", title, form=form)
        say_groups(request, "snooze", done)
        return None

    @admin.action(description=_("End the snooze of their errors"), permissions=["triage"])
    def wake_groups(self, request: HttpRequest, rows: Rows) -> None:
        say_groups(request, "wake", error_groups.wake(_groups(rows), by=admin_actor(request)))


def _groups(rows: Rows) -> list[str]:
    return list(rows.order_by("fingerprint").values_list("fingerprint", flat=True).distinct())
