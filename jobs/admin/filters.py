"""Filters whose choices are known without reading the whole table."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.domain import priority
from jobs.models import Job
from jobs.store import queues


class CreatedFilter(admin.DateFieldListFilter):
    """When jobs were created; behind Django's “By …” stands a noun."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("time of creation")


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
