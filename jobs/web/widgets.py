"""Form widgets in the desk's look."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.domain.readable import DEEPEST, dumps, is_deep

MOST_ROWS: Final = 12  # of a text; what has more is scrolled


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


class MomentField(forms.DateTimeField):
    """A time by the visitor's clock, with its zone also where USE_TZ is off."""

    def to_python(self, value: Any) -> datetime | None:
        found = super().to_python(value)
        return timezone.make_aware(found) if found is not None and timezone.is_naive(found) else found


def as_sent(value: Any) -> str:
    """The text of a field's value with one kind of line break, whichever the browser makes of it; "" for none."""
    return "" if value is None else str(value).replace("\r\n", "\n").replace("\r", "\n")


class Lines(forms.Textarea):
    """A text of one line or many: as high as what is in it."""

    def __init__(self) -> None:
        super().__init__(attrs={"rows": 1, "dir": "auto", "class": "input input-lines"})

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """With as many rows as lines, for browsers that do not size a field by its content."""
        context = super().get_context(name, value, attrs)
        context["widget"]["attrs"]["rows"] = min(as_sent(value).count("\n") + 1, MOST_ROWS)
        return context


class TextField(forms.CharField):
    """A text exactly as it was typed, spaces at its ends too; a browser sends each line break as two characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=False, **options)

    def to_python(self, value: Any) -> Any:
        """The text with plain line breaks, the field's empty value for none."""
        found = super().to_python(value)
        return as_sent(found) if found else found


class JSONField(forms.JSONField):
    """A JSON value that can be stored and written out again; empty when there is none, where Django would write the word null."""

    default_error_messages = {
        "invalid": _("This is not valid JSON."),
        "deep": _("Lists and objects can be nested at most %(limit)d levels deep."),
        "number": _("This has a number that is too large, or that JSON does not allow."),
        "half": _("This has half a character: an escape such as \\ud800 needs its other half."),
    }

    def clean(self, value: Any) -> Any:
        """The value, also {}, [], "" and null, which Django takes for nothing; None for an empty field."""
        if not str(value or "").strip():
            return super().clean("")
        found = self.to_python(value)
        self.run_validators(found)
        return found

    def to_python(self, value: Any) -> Any:
        """The value. Raises ValidationError, also for what Python reads and cannot write, or the other way round."""
        try:
            found = super().to_python(value)
            if is_deep(found):
                raise RecursionError
            json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        except RecursionError:
            raise self._wrong("deep", limit=DEEPEST) from None
        except UnicodeEncodeError:
            raise self._wrong("half") from None
        except ValueError:  # more digits than Python takes for a number, or more than a float holds; NaN and Infinity
            raise self._wrong("number") from None
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed comes back as it was typed."""
        return initial if self.disabled else data if data is None else InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """The text of the field, "" for None."""
        return "" if value is None else value if isinstance(value, InvalidJSONInput) else dumps(value)

    def _wrong(self, code: str, **values: Any) -> ValidationError:
        return ValidationError(self.error_messages[code], code=code, params=values)
