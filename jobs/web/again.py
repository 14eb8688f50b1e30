"""The form of a new job filled from an old one: what nobody writes over stays as it was, and what is secret stays hidden."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _
from kombu.utils.json import loads

from jobs import masking
from jobs.conf import configuration
from jobs.domain import typed
from jobs.domain.readable import encodable
from jobs.domain.secrets import MASK
from jobs.models import Job
from jobs.web import recipients
from jobs.web.arguments import ArgumentsForm
from jobs.web.widgets import Lines, as_sent

LENGTH: Final = RawSQL("octet_length(jobs_job.args::text) + octet_length(jobs_job.kwargs::text)", [], output_field=BigIntegerField())


def is_too_large(job: Any) -> bool:
    """Whether its arguments, of this `length`, are more than a job made here may have: without a look at them. An escape counts as the
    letter that it stands for, of which it is three times as long at most."""
    return int(job.length) > 3 * configuration().max_argument_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The arguments of a job by the names of the signature: `values` as the task gets them, `shown` without secrets; what is `hidden`."""

    values: Mapping[str, Any]
    shown: Mapping[str, Any]
    hidden: frozenset[str]


def given(job: Job, signature: inspect.Signature) -> Given:
    """What the job was called with; what the task does not take (any more) is left out, and what is no call's."""
    args = job.args if isinstance(job.args, list) else []
    kwargs = job.kwargs if isinstance(job.kwargs, dict) else {}
    try:
        values = dict(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:
        values = {name: value for name, value in kwargs.items() if name in signature.parameters}
    shown = masking.named(values)
    hidden = frozenset(name for name, value in values.items() if shown[name] != typed.plain(value))
    return Given(values={name: _read(value) for name, value in values.items()}, shown=shown, hidden=hidden)


def _read(value: Any) -> Any:
    try:
        return loads(json.dumps(value))
    except typed.UNREADABLE:  # anyone may have inserted a type that is none
        return value


def fill(form: ArgumentsForm, old: Given, task: str) -> None:
    """Write the old arguments into the fields; one that comes back untouched means the old value, whatever it was. Hidden values go where
    they went, or have to be written out."""
    for name, field in form.fields.items():
        if name not in old.values:
            continue
        shown = old.shown[name]
        field.initial = encodable(shown) if isinstance(shown, str) else shown
        if name in old.hidden:
            _hide(field)
        if isinstance(field.widget, forms.TextInput) and "\n" in as_sent(field.initial):
            field.widget = Lines()
        _keep(form, name, old.values[name], name in old.hidden)
    clean = form.clean

    def cleaned() -> dict[str, Any]:
        data = clean()
        if recipients.moved(task, old.values, data):
            text = _("The hidden values (%(mask)s) were meant for another address: type them in full, or remove them.") % {"mask": MASK}
            for name in form.kept:
                form.add_error(name, ValidationError(text, code="moved"))
        return data

    form.clean = cleaned  # type: ignore[method-assign]


def _hide(field: forms.Field) -> None:
    if not isinstance(field.widget, forms.Textarea):
        field.widget = forms.TextInput(attrs={"dir": "ltr", "autocomplete": "off"})  # of a number or a tick too: it shows the mask
    field.help_text = _("Hidden values (%(mask)s) stay as they are unless you overwrite them.") % {"mask": MASK}


def _keep(form: ArgumentsForm, name: str, value: Any, hidden: bool) -> None:
    field = form.fields[name]
    shown, clean = field.initial, field.clean
    text = str(bool(shown)) if isinstance(field.widget, forms.CheckboxInput) else as_sent(field.prepare_value(shown))

    def cleaned(raw: Any) -> Any:
        if as_sent(raw) == text:
            form.untouched.add(name)
            form.kept |= {name} if hidden else set()
            return value
        written = clean(raw)
        new = _restored(written, shown, value)
        form.kept |= {name} if hidden and new != written else set()
        if hidden and MASK in json.dumps(new, default=str):
            raise ValidationError(_("A hidden value was moved: type it in full."), code="hidden")
        return new

    field.clean = cleaned  # type: ignore[method-assign, assignment]


def _restored(new: Any, shown: Any, value: Any) -> Any:
    """The new value, with the old secrets where the masks still stand in their places."""
    if isinstance(new, dict) and isinstance(shown, dict):
        return {key: _restored(item, shown.get(key), value[key]) if key in shown else item for key, item in new.items()}
    if isinstance(new, list) and isinstance(shown, list) and len(new) == len(shown):
        return [_restored(item, before, old) for item, before, old in zip(new, shown, value, strict=True)]
    return value if type(new) is type(shown) and new == shown else new
