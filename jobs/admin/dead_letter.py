"""The dead letter queue in the admin: read the error, decide."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from jobs import dead_letters
from jobs.admin.confirm import ask
from jobs.models import DeadLetterQueue
from jobs.web.reports import say

Rows = QuerySet[DeadLetterQueue, DeadLetterQueue]


@admin.register(DeadLetterQueue)
class DeadLetterQueueAdmin(admin.ModelAdmin):
    """Read-only; each decision is a verb."""

    list_display = ("id", "job", "error_class", "message", "attempts", "failed_at", "resolution", "notified_at")
    list_filter = ("resolution", "error_class", ("failed_at", admin.DateFieldListFilter))
    search_fields = ("=job__id", "job__name", "job__task", "error_class", "message")
    list_select_related = ("job",)
    show_full_result_count = False
    list_per_page = 50
    actions = ("reprocess_entries", "resolve_entries", "notify_entries")

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

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
        say(request, "reprocess", dead_letters.reprocess(_ids(rows), by=request.user.get_username()))

    @admin.action(description=_("Mark as resolved"), permissions=["triage"])
    def resolve_entries(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        if "confirmed" not in request.POST:
            return ask(self, request, rows, "resolve_entries", str(_("Mark these entries as resolved?")), note=True)
        note = request.POST.get("note", "").replace("\0", "")[:2000]
        say(request, "resolve", dead_letters.resolve(_ids(rows), by=request.user.get_username(), note=note))
        return None

    @admin.action(description=_("Send the notice"), permissions=["triage"])
    def notify_entries(self, request: HttpRequest, rows: Rows) -> None:
        say(request, "notify", dead_letters.notify(_ids(rows)))


def _ids(rows: Rows) -> list[int]:
    return list(rows.order_by("pk").values_list("pk", flat=True))
