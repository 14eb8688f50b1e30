"""Form widgets in the desk's look."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


def dress(form: forms.BaseForm) -> None:
    """Give each widget the desk's class, and mark the fields with errors."""
    for name, field in form.fields.items():
        if not isinstance(field.widget, forms.CheckboxInput):
            field.widget.attrs.setdefault("class", "input")
        if form.is_bound and name in form.errors:
            field.widget.attrs["aria-invalid"] = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a field; `place` is its id on the page."""

    place: str
    label: str
    text: str


def problems(*given: forms.BaseForm) -> list[Problem]:
    """Those of all visible fields, in the order of the forms: for a list at the top of the page that leads to each."""
    return [
        Problem(place=field.auto_id, label=str(getattr(field.field, "title", None) or field.label), text=" ".join(map(str, field.errors)))
        for form in given
        for field in form
        if form.is_bound and field.errors and not field.is_hidden
    ]


class JSONField(forms.JSONField):
    """Empty when there is no value, where Django would write the word null."""

    default_error_messages = {"invalid": _("This is not valid JSON.")}

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)
