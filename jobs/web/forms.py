"""What people fill in: a new job, another priority, a decision about dead letters."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.domain import priority
from jobs.enqueueing import MAX_RETRIES, NAME_LIMIT

NAME_LENGTH = NAME_LIMIT
YEAR = 365 * 24 * 3600  # seconds
AT_WIDGET = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local", "dir": "ltr", "aria-label": _("Date and time")})


class PriorityForm(forms.Form):
    """A priority; 9 runs first."""

    priority = forms.IntegerField(label=_("Priority"), min_value=priority.LOWEST, max_value=priority.HIGHEST)


class JobForm(PriorityForm):
    """How a new job is called, when and where it runs; its arguments have a form of their own."""

    name = forms.CharField(label=_("Name"), required=False, max_length=NAME_LENGTH)
    max_retries = forms.IntegerField(label=_("Retries"), min_value=0, max_value=MAX_RETRIES)
    when = forms.ChoiceField(label=_("When"), choices=[("now", _("Now")), ("after", _("After")), ("at", _("At"))])
    after = forms.FloatField(
        label=_("Seconds"), required=False, min_value=0, validators=[MaxValueValidator(YEAR)],
        widget=forms.NumberInput(attrs={"aria-label": _("Seconds")}),
    )  # fmt: skip
    at = forms.DateTimeField(label=_("Date and time"), required=False, widget=AT_WIDGET)
    queue = forms.CharField(label=_("Queue"), max_length=100)
    token = forms.UUIDField(widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        chosen = data.get("when")
        if chosen in ("after", "at") and not self.errors.get(chosen) and data.get(chosen) is None:
            self.add_error(chosen, _("This field is required."))
        at = data.get("at")
        if chosen == "at" and at and at < timezone.now() - timedelta(minutes=1):
            self.add_error("at", ValidationError(_("This time is in the past."), code="past"))
        return data

    def run_at(self) -> datetime | None:
        """When the job is due; None: now."""
        data = self.cleaned_data
        if data["when"] == "after":
            return timezone.now() + timedelta(seconds=data["after"])
        return data["at"] if data["when"] == "at" else None


class TriageForm(forms.Form):
    """A decision about some entries of the dead letter queue."""

    action = forms.ChoiceField(choices=[(name, name) for name in ("reprocess", "resolve", "notify")])
    entry = forms.TypedMultipleChoiceField(coerce=int, required=False)
    note = forms.CharField(label=_("Note"), required=False, max_length=2000)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        chosen = [text for text in data.getlist("entry") if text.isascii() and text.isdigit() and len(text) < 19]
        self.fields["entry"].choices = [(text, text) for text in chosen]  # type: ignore[attr-defined]
