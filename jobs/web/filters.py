"""Which jobs a list shows, read from the address."""

from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from jobs import masking
from jobs.domain import words
from jobs.domain.priority import FROM_HIGHEST
from jobs.domain.statuses import State
from jobs.models import Job, Worker
from jobs.store import counts, found, search
from jobs.store.many import array
from jobs.store.stats import in_state
from jobs.web.labels import STATE_LABELS, western
from jobs.web.widgets import MomentField

REACH: Final = 100_000  # numbers that one page looks at when no index leads to the rows
RARE: Final = 2_000  # jobs in a state that are read and sorted sooner than met among all others, however old they are
LONGEST: Final = 200
_INDEXED: Final = "EXISTS (SELECT 1 FROM jobs_search s WHERE s.job = jobs_job.id AND s.words @@ %s::tsquery)"
# Not as a table: with an array the newest are read from the index in their order (PostgreSQL 17 on), and each is looked up once.
_NUMBERED: Final = "jobs_job.id = ANY (%s::bigint[])"
_TIME = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local", "dir": "ltr"})
_LTR = forms.TextInput(attrs={"dir": "ltr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`rows` pass all filters; `reach`: how many numbers one page looks at, None: an index leads to the rows.

    `rare`: to read them all and sort them is the shortest way. `behind`: the words of some of the newest jobs are not in the index yet.
    """

    rows: QuerySet[Job, Job]
    reach: int | None
    rare: bool = False
    behind: bool = False


class PriorityField(forms.TypedChoiceField):
    """One of the priorities, or None, in the digits of any script."""

    def __init__(self) -> None:
        choices = [("", _("All")), *((n, n) for n in FROM_HIGHEST)]
        super().__init__(label=_("Priority"), required=False, coerce=int, empty_value=None, choices=choices)

    def to_python(self, value: Any) -> Any:
        return super().to_python(western(value or ""))

    def bound_data(self, data: Any, initial: Any) -> Any:
        return western(data or "")


class JobFilter(forms.Form):
    """Filters of the list of jobs; each is optional."""

    q = forms.CharField(label=_("Search"), required=False, max_length=LONGEST)
    status = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("All")), *((s.value, STATE_LABELS[s]) for s in State)])
    task = forms.CharField(label=_("Task"), required=False, max_length=LONGEST, widget=_LTR)
    queue = forms.CharField(label=_("Queue"), required=False, max_length=LONGEST, widget=_LTR)
    priority = PriorityField()
    error = forms.CharField(label=_("Error class"), required=False, max_length=LONGEST, widget=_LTR)
    worker = forms.CharField(label=_("Worker"), required=False, max_length=LONGEST, widget=_LTR)
    creator = forms.CharField(label=_("Created by"), required=False, max_length=LONGEST)
    since = MomentField(label=_("Created since"), required=False, widget=_TIME)
    until = MomentField(label=_("Created until"), required=False, widget=_TIME)

    def find(self, rows: QuerySet[Job, Job]) -> Found:
        """The rows that pass; none when a filter makes no sense."""
        if not self.is_valid():
            return Found(rows=rows.none(), reach=None)
        data: dict[str, Any] = self.cleaned_data
        if data["status"]:
            rows = rows.filter(in_state(State(data["status"])))
        for name in ("task", "queue", "priority"):
            if data[name] not in ("", None):
                rows = rows.filter(**{name: data[name]})
        if data["error"]:
            rows = rows.filter(last_error__startswith=f"{data['error']}: ")
        if data["worker"]:
            rows = rows.filter(_worker(data["worker"]))
        creator = self._creator(data["creator"])
        if data["creator"]:
            rows = rows.filter(created_by=creator) if creator else rows.none()
        rows = _created(rows, data["since"], data["until"])
        numbers = None
        query = words.query(data["q"], task=data["task"], error_class=data["error"], created_by=creator)
        hits = search.find(query, masking.positional) if query else None
        if hits is not None and (hits.numbers is not None) and (data["q"] or not hits.behind):
            numbers = hits.numbers + found.by_number_or_id(data["q"])
            rows = rows.filter(RawSQL(_NUMBERED, [array(numbers)], output_field=BooleanField()))
        elif hits is not None and data["q"]:
            rows = rows.filter(RawSQL(_INDEXED, [query], output_field=BooleanField()))
        elif data["q"]:  # nothing but signs
            rows = rows.none()
        known = self._known(data["status"]) if numbers is None else None
        few = numbers is not None or known is not None or not self.narrowed()
        rare = known is not None and known <= RARE
        return Found(rows=rows, reach=None if few else REACH, rare=rare, behind=bool(data["q"] and hits and hits.behind))

    def apply(self, rows: QuerySet[Job, Job]) -> QuerySet[Job, Job]:
        """The rows that pass, however long it takes to find them all."""
        return self.find(rows).rows

    def narrowed(self) -> bool:
        """Whether any filter is set."""
        return any(value not in ("", None) for value in self.cleaned_data.values())

    def given(self) -> list[tuple[str, str, str]]:
        """Each filter that is set but for the state: its name in the address, its label, its value as typed."""
        return [
            (name, str(field.label), str(self.data[name]))
            for name, field in self.fields.items()
            if name != "status" and self.data.get(name)
        ]

    def _known(self, status: str) -> int | None:
        """How many jobs are in this state, where they were counted to the end."""
        number = counts.counts()[State(status)] if status else None
        return None if number is None or number.estimated else number

    def _creator(self, name: str) -> int | None:
        model = get_user_model()
        return model._default_manager.filter(**{model.USERNAME_FIELD: name}).values_list("pk", flat=True).first() if name else None


def changed(query: QueryDict, **values: str) -> str:
    """The address of the first page with these filters; an empty value takes one out."""
    new = query.copy()
    for name in ("before", "after", *values):
        new.pop(name, None)
    for name, value in values.items():
        if value:
            new[name] = value
    return f"?{new.urlencode()}"


def _worker(text: str) -> Q:
    """By number, or by name with or without the host."""
    names = Worker.objects.filter(Q(name=text) | Q(name__startswith=f"{text}@"))
    named = Q(worker__in=names.values_list("id"))
    return named | Q(worker=int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else named


def _created(rows: QuerySet[Job, Job], since: Any, until: Any) -> QuerySet[Job, Job]:
    """Numbers grow with the time but for moments: the numbers are the index, the times decide."""
    if since:
        rows = rows.filter(created_at__gte=since, pk__gte=found.number_before(since))
    if until:
        rows = rows.filter(created_at__lte=until, pk__lte=found.number_after(until))
    return rows
