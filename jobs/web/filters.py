"""Which jobs a list shows, read from the address."""

from typing import Any, Final

from django import forms
from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from jobs.domain import priority
from jobs.domain.statuses import State
from jobs.models import Job
from jobs.store.stats import in_state
from jobs.web.forms import AT_WIDGET
from jobs.web.labels import STATE_LABELS

SEARCHED: Final = 50_000  # newest jobs that a text is searched in; a number and a Celery id are found however old
_NUMBERS: Final = [(str(n), str(n)) for n in range(priority.HIGHEST, priority.LOWEST - 1, -1)]
_LTR: Final = {"dir": "ltr"}


class JobFilter(forms.Form):
    """Filters of the list of jobs; each is optional."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    status = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("All")), *((s.value, STATE_LABELS[s]) for s in State)])
    task = forms.CharField(label=_("Task"), required=False, max_length=200)
    queue = forms.CharField(label=_("Queue"), required=False, max_length=200)
    priority = forms.ChoiceField(label=_("Priority"), required=False, choices=[("", _("All")), *_NUMBERS])
    error = forms.CharField(label=_("Error class"), required=False, max_length=200, widget=forms.TextInput(_LTR))
    creator = forms.CharField(label=_("Created by"), required=False, max_length=150, widget=forms.TextInput({"dir": "auto"}))
    worker = forms.IntegerField(label=_("Number of the worker"), required=False, min_value=1, max_value=2**31 - 1)
    since = forms.DateTimeField(label=_("Created since"), required=False, widget=AT_WIDGET)
    until = forms.DateTimeField(label=_("Created until"), required=False, widget=AT_WIDGET)

    FURTHER = ("priority", "error", "creator", "worker", "since", "until")

    def further(self) -> list[forms.BoundField]:
        """The fields that stand behind “more filters”."""
        return [self[name] for name in self.FURTHER]

    def apply(self, rows: QuerySet[Job, Job]) -> QuerySet[Job, Job]:
        """The rows that pass; none when a filter makes no sense."""
        if not self.is_valid():
            return rows.none()
        data: dict[str, Any] = self.cleaned_data
        if data["q"]:
            rows = rows.filter(_search(data["q"]))
        if data["status"]:
            rows = rows.filter(in_state(State(data["status"])))
        if data["error"]:
            rows = rows.filter(last_error__startswith=f"{data['error']}:")
        names = {"task": "task", "queue": "queue", "priority": "priority", "worker": "worker", "creator": "created_by__username",
                 "since": "created_at__gte", "until": "created_at__lte"}  # fmt: skip
        return rows.filter(**{lookup: data[name] for name, lookup in names.items() if data[name] not in ("", None)})


def _search(text: str) -> Q:
    newest = Job.objects.aggregate(newest=Max("pk"))["newest"] or 0
    found = Q(name__icontains=text) | Q(task__icontains=text) | Q(last_error__icontains=text)
    found = Q(pk__gt=newest - SEARCHED) & found
    found |= Q(task_id=text)
    if text.isascii() and text.isdigit() and len(text) < 19:
        found |= Q(pk=int(text))
    return found
