"""Which jobs a list shows, read from the address."""

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from jobs.domain.statuses import State
from jobs.models import Job
from jobs.store.stats import in_state
from jobs.web.labels import STATE_LABELS


class JobFilter(forms.Form):
    """Filters of the list of jobs; each is optional."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    status = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("All")), *((s.value, STATE_LABELS[s]) for s in State)])
    task = forms.CharField(label=_("Task"), required=False, max_length=200)
    queue = forms.CharField(label=_("Queue"), required=False, max_length=200)

    def apply(self, rows: QuerySet[Job, Job]) -> QuerySet[Job, Job]:
        """The rows that pass; none when a filter makes no sense."""
        if not self.is_valid():
            return rows.none()
        data: dict[str, Any] = self.cleaned_data
        if data["q"]:
            rows = rows.filter(_search(data["q"]))
        if data["status"]:
            rows = rows.filter(in_state(State(data["status"])))
        for name in ("task", "queue"):
            if data[name]:
                rows = rows.filter(**{name: data[name]})
        return rows


def _search(text: str) -> Q:
    found = Q(name__icontains=text) | Q(task__icontains=text) | Q(last_error__icontains=text) | Q(task_id=text)
    if text.isascii() and text.isdigit() and len(text) < 19:
        found |= Q(pk=int(text))
    return found
