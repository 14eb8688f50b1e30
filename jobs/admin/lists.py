"""What the lists of the admin share: they can be asked for no more than they show."""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs import batches
from jobs.admin.paging import CappedPaginator

_LOOKUPS: Final = ("exact", "isnull", "gte", "lt")  # by which Django's filters say in the address what they are set to


class OwnOrderList(ChangeList):
    """Sorts by `sortable_by` alone, where Django leaves out only the links: what is hidden could be narrowed down by its order."""

    def get_ordering_field(self, field_name: Any) -> Any:
        return super().get_ordering_field(field_name) if field_name in (self.sortable_by or ()) else None

    @property
    def noun(self) -> str:
        """What its rows are called beside their number; Django would take the name of the list."""
        admin: Any = self.model_admin
        return str(admin.noun(self.result_count))


class ListAdmin(admin.ModelAdmin):
    """A long list, read page by page."""

    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Only what the filters beside the list ask for: by any other column a hidden value could be guessed, letter by letter."""
        return "\0" not in str(value) and any(lookup in _parameters(one) for one in self.list_filter)

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # it would bypass the verb
        return actions

    def noun(self, number: int) -> str:
        """What so many rows are called, without the number."""
        raise NotImplementedError

    def job_of(self, row: Any) -> int | None:
        """The number of the job whose records in the audit are the row's history; None: it has none."""
        return None

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The audit, where the acts are: Django's own history knows nothing of the verbs."""
        row = self.get_object(request, unquote(object_id))
        if row is None or (job := self.job_of(row)) is None:
            return super().history_view(request, object_id, extra_context)
        if not request.user.has_perm("jobs.view_audit"):
            raise PermissionDenied
        return HttpResponseRedirect(f"{reverse('admin:jobs_audit_changelist')}?{urlencode({'q': job})}")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        own = {"is_nav_sidebar_enabled": False}  # the lists need the width
        answer = super().changelist_view(request, own | (extra_context or {}))
        if "cl" in (context := getattr(answer, "context_data", None) or {}):
            context["module_name"] = context["cl"].noun  # in "Select all 802 …"
        return answer

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any, Any], *place: Any, **named: Any) -> HttpResponse | None:
        """As on the desk, no act is for more rows than memory and one transaction should hold."""
        try:
            return super().response_action(request, queryset, *place, **named)
        except TooMany:
            text = _("More than %(number)s jobs match: narrow the filters.") % {"number": f"{batches.MOST:,}"}
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(request.get_full_path())

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OwnOrderList


class TooMany(Exception):
    """More rows were chosen than one act may have."""


def ids(rows: QuerySet[Any, Any]) -> list[int]:
    """The numbers of the rows that were chosen, in order. Raises TooMany."""
    found = list(rows.order_by("pk").values_list("pk", flat=True)[: batches.MOST + 1])
    if len(found) > batches.MOST:
        raise TooMany
    return found


def _parameters(filter: Any) -> list[str]:
    """The names in the address of one of `list_filter`."""
    if isinstance(filter, type):
        return [filter.parameter_name]  # type: ignore[attr-defined]
    name = filter if isinstance(filter, str) else filter[0]
    return [f"{name}__{lookup}" for lookup in _LOOKUPS]
