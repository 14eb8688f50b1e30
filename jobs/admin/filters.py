"""Filters whose choices are known without reading the whole table."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.domain import priority
from jobs.domain.moments import aware
from jobs.models import Job
from jobs.store import found, queues


class CreatedFilter(admin.DateFieldListFilter):
    """When jobs were created; behind Django's “By …” stands a noun."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("time of creation")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job, Job]) -> QuerySet[Job, Job]:
        """As on the desk: numbers grow with the time but for moments, so they are the index, and the times decide."""
        rows: Any = super().queryset(request, queryset)
        since, until = self._given(self.lookup_kwarg_since), self._given(self.lookup_kwarg_until)
        if since is not None:
            rows = rows.filter(pk__gte=found.number_before(since))
        return rows if until is None else rows.filter(pk__lte=found.number_after(until))

    def _given(self, name: str) -> datetime | None:
        """None: none, or more than one."""
        values: Any = self.used_parameters.get(name, [])
        moment = self.field.to_python(values[0]) if len(values) == 1 else None
        return None if moment is None else aware(moment)


class FailedFilter(admin.DateFieldListFilter):
    """When entries failed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("time of failure")


class PriorityFilter(admin.SimpleListFilter):
    """The ten priorities."""

    title = _("Priority")
    parameter_name = "priority"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(number), str(number)) for number in priority.FROM_HIGHEST]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job, Job]) -> QuerySet[Job, Job]:
        chosen = self.value()
        if not chosen:
            return queryset
        return queryset.filter(priority=int(chosen)) if chosen in dict(self.lookup_choices) else queryset.none()


class QueueFilter(admin.SimpleListFilter):
    """The queues in which jobs wait or that a worker serves."""

    title = _("Queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in queues.names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job, Job]) -> QuerySet[Job, Job]:
        return queryset.filter(queue=self.value()) if self.value() else queryset
