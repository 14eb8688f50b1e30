"""The audit in the admin: to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import npgettext

from jobs.admin.lists import ListAdmin
from jobs.models import Audit


@admin.register(Audit)
class AuditAdmin(ListAdmin):
    """Read-only: nobody changes what was recorded."""

    list_display = ("id", "at", "actor", "source", "verb", "job", "name", "note")
    list_filter = ("verb", "source")
    search_fields = ("=job", "=actor", "=error_group")
    sortable_by = ("id",)

    def noun(self, number: int) -> str:
        return npgettext("counted", "audit record", "audit records", number)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
