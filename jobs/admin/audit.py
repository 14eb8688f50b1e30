"""The audit in the admin: to read."""

from typing import Any

from django.contrib import admin
from django.db import connections
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.text import smart_split, unescape_string_literal
from django.utils.translation import npgettext

from jobs.admin.lists import ListAdmin
from jobs.domain.numbers import number_of
from jobs.models import Audit
from jobs.store import audit

Rows = QuerySet[Audit, Audit]


@admin.register(Audit)
class AuditAdmin(ListAdmin):
    """Read-only: nobody changes what was recorded."""

    list_display = ("id", "at", "actor", "source", "verb", "job", "name", "note")
    list_filter = ("verb", "source")
    search_fields = ("job",)  # shows the box; `get_search_results` reads it
    sortable_by = ("id",)

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """Of a job by its number, of whoever did it, or of an error group: each has an index, which Django's comparison would not use."""
        with connections[queryset.db].cursor() as cursor:
            for word in smart_split(search_term):
                text = unescape_string_literal(word) if word[0] in "\"'" and word[0] == word[-1] and len(word) > 1 else word
                whose = Q(actor__in=audit.actors(cursor, text)) | Q(error_group__in=[text, text.lower()])
                number = number_of(text)
                queryset = queryset.filter(whose if number is None else whose | Q(job=number))
        return queryset, False

    def noun(self, number: int) -> str:
        return npgettext("counted", "audit record", "audit records", number)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
