"""Form widgets in the desk's look."""

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


class JSONField(forms.JSONField):
    """Empty when there is no value, where Django would write the word null."""

    default_error_messages = {"invalid": _("This is not valid JSON.")}

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)
