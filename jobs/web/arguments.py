"""A form from a task's signature: signature, pydantic model, JSON schema, fields."""

import inspect
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, get_args
from uuid import UUID

from django import forms
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from jobs.argument_types import readable
from jobs.conf import configuration
from jobs.domain.secrets import is_secret
from jobs.pydantic_messages import translate
from jobs.tasks_help import Argument
from jobs.web.argument_fields import Schema, field_for
from jobs.web.labels import listed, ltr
from jobs.web.widgets import TextField

PREFIX = "argument"
_KEPT: Final = (datetime, date, time, Decimal, UUID, bytes)  # what a row holds by type
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_STARS: Mapping[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


class ArgumentsForm(forms.Form):
    """The arguments of one task; `args` and `kwargs` hold them as values that a row can hold when the form is valid."""

    model: type[BaseModel]
    signature: inspect.Signature
    needed: frozenset[str]
    args: list[Any]
    kwargs: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.untouched: set[str] = set()  # fields that came back as an earlier job had filled them
        self.kept: set[str] = set()  # fields with hidden values of an earlier job

    def clean(self) -> dict[str, Any]:
        data = {name: value for name, value in self.cleaned_data.items() if not self._is_left_out(name, value)}
        unread = set(self.errors)  # the others are checked all the same: all that is wrong is said at once
        try:
            made = self.model(**data)
            given = _stored(*(made.model_dump(mode=mode, exclude_unset=True, by_alias=True) for mode in ("python", "json")))
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                if name not in unread:
                    self.add_error(name if name in self.fields else None, translate(problem))
        else:
            if not unread:
                self._arrange(given)
        return self.cleaned_data

    def _is_left_out(self, name: str, value: Any) -> bool:
        """Whether the argument is the task's own default: its field is empty, and nobody has emptied a text to make it so."""
        if name in self.needed or name in self.untouched or value not in (None, ""):
            return False
        field, raw = self.fields[name], self[name].data
        emptied = raw == "" and isinstance(field, TextField) and field.initial
        return not emptied and not (raw or "").strip()

    def _arrange(self, given: dict[str, Any]) -> None:
        """Keep values by name where that is possible: what only has a place goes into `args`, with all that stands before it."""
        parameters = self.signature.parameters.values()
        many = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), "")
        items, extra = given.pop(many, []), given.pop(rest, {})
        taken = sorted(set(extra) & {p.name for p in parameters if p.kind not in (*_STARS, p.POSITIONAL_ONLY)})
        if taken:
            self.add_error(rest, _("These have fields of their own: %(names)s") % {"names": listed(map(ltr, taken))})
            return
        places = [p for p in parameters if p.kind in _POSITIONAL]
        placed = [at for at, p in enumerate(places) if items or (p.kind is p.POSITIONAL_ONLY and p.name in given)]
        before = places[: max(placed, default=-1) + 1]
        self.args = [given.pop(p.name, p.default) for p in before] + items
        self.kwargs = given | extra


def _stored(value: Any, plain: Any) -> Any:
    """The value, of which `plain` is the JSON, with what a row holds by type as it is."""
    if isinstance(value, _KEPT):
        return value
    if isinstance(value, dict):
        return {key: _stored(item, plain[key]) for item, key in zip(value.values(), plain, strict=True)}
    if isinstance(value, list | tuple):
        return [_stored(*pair) for pair in zip(value, plain, strict=True)]
    return plain


def form_for(signature: inspect.Signature) -> type[ArgumentsForm]:
    """The form class for a task with this signature (without self)."""
    model = _model(signature)
    schema = model.model_json_schema(schema_generator=Schema)
    titles = {field.alias: _title(field) for field in model.model_fields.values()}
    required, definitions = frozenset(schema.get("required", [])), schema.get("$defs", {})
    fields = {}
    for name, part in schema.get("properties", {}).items():
        fields[name] = field_for(part, name in required, definitions)
        fields[name].label = _STARS.get(signature.parameters[name].kind, "") + name  # the name in the code
        fields[name].title = titles[name]  # type: ignore[attr-defined]  # what people call it, or None
        if is_secret(name, configuration().secret_patterns):
            fields[name].widget.attrs["data-secret"] = True  # the browser keeps it no longer than it must
    found: type[ArgumentsForm] = type("TaskArgumentsForm", (ArgumentsForm,), fields)
    found.model, found.signature, found.needed = model, signature, required
    return found


def _title(field: FieldInfo) -> str | None:
    """What people call the argument, where its annotation says so."""
    return field.title or next((str(one.label) for one in [*field.metadata, *_said(field.annotation)] if isinstance(one, Argument)), None)


def _said(hint: Any) -> list[Any]:
    """What stands in an annotation, also within a union."""
    return [*getattr(hint, "__metadata__", ()), *(one for part in get_args(hint) for one in _said(part))]


def _model(signature: inspect.Signature) -> type[BaseModel]:
    # Under names of our own: an argument may be called like something that pydantic needs itself.
    fields: dict[str, Any] = {f"a{place}": _described(parameter) for place, parameter in enumerate(signature.parameters.values())}
    return create_model("Arguments", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True, ser_json_bytes="base64"), **fields)


def _described(parameter: inspect.Parameter) -> tuple[Any, Any]:
    hint = readable(parameter)
    match parameter.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return list[hint], Field(default=[], alias=parameter.name, description=_("A JSON list: [1, 2]."))  # type: ignore[valid-type]
        case inspect.Parameter.VAR_KEYWORD:
            text = _('A JSON object: {"name": 1}.')
            return dict[str, hint], Field(default={}, alias=parameter.name, description=text)  # type: ignore[valid-type]
    return hint, Field(default=... if parameter.default is parameter.empty else parameter.default, alias=parameter.name)
