"""The form of a new job filled from an old one: what is secret stays hidden, and stays as it was unless somebody writes over it."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from jobs import masking
from jobs.domain.secrets import MASK
from jobs.models import Job
from jobs.web.arguments import ArgumentsForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The arguments of a job by the names of the signature: `values` as they are, `shown` without secrets."""

    values: Mapping[str, Any]
    shown: Mapping[str, Any]


def given(job: Job, signature: inspect.Signature) -> Given:
    """What the job was called with; what the task does not take (any more) is left out, and what is no call's."""
    args = job.args if isinstance(job.args, list) else []
    kwargs = job.kwargs if isinstance(job.kwargs, dict) else {}
    try:
        values = dict(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:
        values = {name: value for name, value in kwargs.items() if name in signature.parameters}
    return Given(values=values, shown=masking.named(values))


def fill(form: ArgumentsForm, old: Given) -> None:
    """Write the old arguments into the fields; a hidden one that comes back untouched means the old value."""
    for name, field in form.fields.items():
        if name not in old.values:
            continue
        value, shown = old.values[name], old.shown[name]
        field.initial = list(shown) if isinstance(shown, tuple) else shown
        if shown != (list(value) if isinstance(value, tuple) else value):
            _keep(field, value, field.initial)


def _keep(field: forms.Field, value: Any, shown: Any) -> None:
    text, clean = str(field.prepare_value(shown)), field.clean
    if not isinstance(field.widget, forms.Textarea):
        field.widget = forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off"})  # of a number or a tick too: it shows the mask
    field.help_text = _("Hidden values (%(mask)s) stay as they are unless you write over them.") % {"mask": MASK}

    def cleaned(raw: Any) -> Any:
        if str(raw).strip() == text.strip():
            return value
        new = _restored(clean(raw), shown, value)
        if MASK in json.dumps(new, default=str):
            raise ValidationError(_("A hidden value was moved: write it out."), code="hidden")
        return new

    field.clean = cleaned  # type: ignore[method-assign, assignment]


def _restored(new: Any, shown: Any, value: Any) -> Any:
    """The new value, with the old secrets where the masks still stand in their places."""
    if new == shown:
        return value
    if isinstance(new, dict) and isinstance(shown, dict):
        return {key: _restored(item, shown.get(key), value[key]) if key in shown else item for key, item in new.items()}
    if isinstance(new, list) and isinstance(shown, list) and len(new) == len(shown):
        return [_restored(item, before, old) for item, before, old in zip(new, shown, value, strict=True)]
    return new
