"""What people fill in: a new job, another priority, a decision about dead letters."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from jobs import rights
from jobs.conf import MOST
from jobs.domain import priority
from jobs.domain.moments import aware
from jobs.domain.statuses import LATEST
from jobs.domain.texts import NAME_LIMIT, wrong_queue
from jobs.enqueueing import MAX_RETRIES
from jobs.models.audit import Verb
from jobs.store import audit, clock
from jobs.web import accounts
from jobs.web.times import local, span
from jobs.web.widgets import JSONField, MomentField

YEAR = 365 * 24 * 3600  # seconds
AT_WIDGET = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local", "dir": "ltr", "aria-label": _("Date and time")})


def not_past(moment: datetime | None) -> datetime | None:
    """The moment itself. Raises ValidationError when it lies more than a minute back, or further ahead than a job can wait."""
    if moment is not None and moment.year >= LATEST.year:
        raise ValidationError(_("No later than the year %(last)d."), code="late", params={"last": LATEST.year - 1})
    if moment is not None and moment < aware(clock.reckoned()) - timedelta(minutes=1):
        raise ValidationError(_("This time is in the past."), code="past")
    return moment


class ReasonForm(forms.Form):
    """Why somebody does something, if he says so."""

    reason = forms.CharField(
        label=_("Reason"), required=False, max_length=audit.NOTE, help_text=_("Optional; the audit keeps it."),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )  # fmt: skip


class PriorityForm(ReasonForm):
    """A priority; 9 runs first."""

    priority = forms.IntegerField(label=_("Priority"), min_value=priority.LOWEST, max_value=priority.HIGHEST)


UNITS = [(1, _("seconds")), (60, _("minutes")), (3600, _("hours")), (86_400, _("days"))]


class JobForm(PriorityForm):
    """How a new job is called, when and where it runs; its arguments have a form of their own."""

    name = forms.CharField(
        label=_("Name"), required=False, max_length=NAME_LIMIT, help_text=_("What people will search for later."),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )  # fmt: skip
    max_retries = forms.IntegerField(label=_("Retries"), min_value=0, max_value=MAX_RETRIES)
    when = forms.ChoiceField(label=_("When"), choices=[("now", _("Now")), ("after", _("After")), ("at", _("At"))])
    after = forms.FloatField(label=_("After"), required=False, min_value=0, widget=forms.NumberInput(attrs={"aria-label": _("After")}))
    unit = forms.TypedChoiceField(
        label=_("Unit"), required=False, coerce=int, empty_value=None, choices=UNITS, widget=forms.Select(attrs={"aria-label": _("Unit")})
    )
    at = MomentField(label=_("Date and time"), required=False, widget=AT_WIDGET)
    queue = forms.CharField(label=_("Queue"), max_length=100, widget=forms.TextInput(attrs={"dir": "ltr", "list": "queues"}))
    timeout = forms.IntegerField(label=_("Time limit"), required=False, min_value=1, max_value=MOST)
    unique_key = forms.CharField(
        label=_("Unique key"), required=False, max_length=NAME_LIMIT, widget=forms.TextInput(attrs={"dir": "auto"}),
        help_text=_("While a job with this key has not ended, no other is created."),
    )  # fmt: skip
    token = forms.UUIDField(widget=forms.HiddenInput)

    def limited(self, usual: int | None) -> "JobForm":
        """Itself, saying which time limit counts where none is filled in."""
        text = (
            _("Seconds for each run. If empty, the default: %(usual)s.")
            if usual
            else _("Seconds for each run. If empty, the default: none.")
        )
        self.fields["timeout"].help_text = text % {"usual": span(usual or 0)}
        return self

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        chosen = data.get("when")
        if chosen in ("after", "at") and not self.errors.get(chosen) and data.get(chosen) is None:
            self.add_error(chosen, _("This field is required."))
        for other in {"after", "at"} - {chosen}:  # or a delay that was typed would be ignored
            if data.get(other) is not None:
                self.add_error(other, _("This is filled in, but another time is selected: select this one, or clear the field."))
        if chosen == "after" and (data.get("after") or 0) * (data.get("unit") or 1) > YEAR:
            self.add_error("after", _("At most a year ahead."))
        if chosen == "at" and data.get("at"):
            try:
                not_past(data["at"])
            except ValidationError as error:
                self.add_error("at", error)
        return data

    def run_at(self) -> datetime | None:
        """When the job is due; None: now."""
        data = self.cleaned_data
        if data["when"] == "after":
            return clock.now() + timedelta(seconds=data["after"] * (data["unit"] or 1))
        return data["at"] if data["when"] == "at" else None


class TriageForm(forms.Form):
    """A decision about some entries of the dead letter queue."""

    action = forms.ChoiceField(choices=[(name, name) for name in ("reprocess", "choose", "resolve", "reopen", "notify")])
    entry = forms.TypedMultipleChoiceField(coerce=int, required=False)
    note = forms.CharField(label=_("Note"), required=False, max_length=2000)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        chosen = [text for text in data.getlist("entry") if text.isascii() and text.isdigit() and len(text) < 19]
        self.fields["entry"].choices = [(text, text) for text in chosen]  # type: ignore[attr-defined]


PACES = {"": _("all at once"), "1": _("1 per second"), "10": _("10 per second"), "50": _("50 per second")}


def paced(pace: str, total: int) -> str:
    """A pace and how long `total` jobs take with it until all are due."""
    if not pace or total < 2:
        return str(PACES[pace])
    return str(_("%(pace)s: %(time)s in total")) % {"pace": str(PACES[pace]), "time": span(max(total / int(pace), 1))}


class ReprocessForm(ReasonForm):
    """How the jobs of a selection run again."""

    argument = forms.ChoiceField(label=_("Argument to change"), required=False)
    value = JSONField(label=_("New value"), required=False, widget=forms.TextInput(attrs={"dir": "ltr"}))
    priority = forms.TypedChoiceField(label=_("Priority"), required=False, coerce=int, empty_value=None)
    pace = forms.TypedChoiceField(label=_("Pace"), required=False, coerce=int, empty_value=None, choices=list(PACES.items()))
    trial = forms.BooleanField(label=_("Run one as a trial first; the others when it has completed"), required=False)

    def __init__(self, data: Any, *, names: Sequence[str], total: int) -> None:
        super().__init__(data)
        self.fields["pace"].choices = [(pace, paced(pace, total)) for pace in PACES]  # type: ignore[attr-defined]
        as_now = ("", _("unchanged"))
        self.fields["argument"].choices = [as_now, *((name, name) for name in names)]  # type: ignore[attr-defined]
        self.fields["priority"].choices = [as_now, *((str(n), str(n)) for n in priority.FROM_HIGHEST)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data, typed = self.cleaned_data, bool(self.data.get("value", "").strip())
        if data.get("argument") and "value" not in self.errors and not typed:
            self.add_error("value", _("This field is required."))
        if typed and data.get("argument") == "":  # or what was typed would be ignored
            self.add_error("argument", _("Select the argument you want to change, or clear the value."))
        return data


class ResolveForm(forms.Form):
    """Why a selection needs nothing more."""

    note = forms.CharField(label=_("Note"), max_length=2000, widget=forms.TextInput(attrs={"dir": "auto"}))


class OwnerForm(forms.Form):
    """Who looks after an error: an account that may decide about dead letters, as the visitor may, or nobody."""

    owner = forms.ChoiceField(label=_("Owner"), required=False)

    def __init__(self, data: Any = None, *, now: str, visitor: str) -> None:
        super().__init__(data, initial={"owner": now})
        names = dict.fromkeys([*accounts.triagers(), visitor, *([now] if now else [])])  # of many accounts the list has the first
        self.fields["owner"].choices = [("", _("nobody")), *((name, name) for name in names)]  # type: ignore[attr-defined]


SNOOZES = {"1": _("for 1 hour"), "4": _("for 4 hours"), "morning": _("until tomorrow, 9:00"), "168": _("for 7 days"), "at": _("until …")}


class SnoozeForm(forms.Form):
    """How long no mail about an error is wanted; `end`: they are wanted again."""

    until_when = forms.ChoiceField(
        label=_("Snooze the notices"), choices=[*SNOOZES.items(), ("end", _("End the snooze"))], initial="1", required=False
    )
    at = MomentField(label=_("Date and time"), required=False, widget=AT_WIDGET)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.fields["until_when"].widget.choices = list(SNOOZES.items())

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not data.get("until_when") and "until_when" not in self.errors:
            self.add_error("until_when", _("This field is required."))
        if data.get("until_when") == "at" and "at" not in self.errors and data.get("at") is None:
            self.add_error("at", _("This field is required."))
        return data

    def until(self, now: datetime) -> datetime | None:
        """When the snooze ends, by the visitor's own clock; None: now."""
        chosen = self.cleaned_data["until_when"]
        if chosen == "end":
            return None
        if chosen == "at":
            moment: datetime = self.cleaned_data["at"]
            return moment
        if chosen == "morning":
            return (local(now) + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
        return now + timedelta(hours=int(chosen))


PERMISSIONS = {verb: rights.needed(verb, entries=False) for verb in (Verb.CANCEL, Verb.REPROCESS, Verb.PRIORITY, Verb.QUEUE, Verb.DELETE)}


def _name_of_a_queue(name: str) -> None:
    if wrong := wrong_queue(name):
        raise ValidationError(wrong, code="queue")


class BulkForm(ReasonForm):
    """What a verb for many jobs needs beside them."""

    def __init__(self, verb: Verb, data: Any = None) -> None:
        super().__init__(data)
        if verb is Verb.PRIORITY:
            label = _("Priority")
            self.fields["priority"] = forms.IntegerField(label=label, min_value=priority.LOWEST, max_value=priority.HIGHEST)
        elif verb is Verb.QUEUE:
            self.fields["queue"] = forms.CharField(label=_("Queue"), max_length=100, validators=[_name_of_a_queue])
        self.order_fields(["priority", "queue", "reason"])
