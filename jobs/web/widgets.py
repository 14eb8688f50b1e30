"""Form widgets in the desk's look."""

from django import forms


def dress(form: forms.BaseForm) -> None:
    """Give each widget the desk's class, and mark the fields with errors."""
    for name, field in form.fields.items():
        if not isinstance(field.widget, forms.CheckboxInput):
            field.widget.attrs.setdefault("class", "input")
        if form.is_bound and name in form.errors:
            field.widget.attrs["aria-invalid"] = "true"
