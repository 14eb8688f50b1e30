"""A form from a task's signature: signature, pydantic model, JSON schema, fields."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from jobs.web.pydantic_messages import translate

PREFIX = "argument"
_LOOSE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class ArgumentsForm(forms.Form):
    """The arguments of one task; `kwargs` holds them as JSON values when the form is valid."""

    model: type[BaseModel]
    kwargs: dict[str, Any]

    def clean(self) -> dict[str, Any]:
        data = {name: value for name, value in self.cleaned_data.items() if self.fields[name].required or value not in (None, "")}
        if self.errors:
            return self.cleaned_data
        try:
            self.kwargs = json.loads(self.model(**data).model_dump_json(exclude_unset=True, by_alias=True))
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                self.add_error(name if name in self.fields else None, translate(problem))
        return self.cleaned_data


def form_for(signature: inspect.Signature) -> type[ArgumentsForm]:
    """The form class for a task with this signature (without self)."""
    model = _model(signature)
    schema = model.model_json_schema()
    required, definitions = set(schema.get("required", [])), schema.get("$defs", {})
    fields = {name: _field(name, part, name in required, definitions) for name, part in schema.get("properties", {}).items()}
    return type("TaskArgumentsForm", (ArgumentsForm,), {**fields, "model": model})


def _model(signature: inspect.Signature) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind not in _LOOSE:
            hint = Any if parameter.annotation is parameter.empty else parameter.annotation
            fields[name] = (hint, ... if parameter.default is parameter.empty else parameter.default)
    return create_model("Arguments", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)


def _field(name: str, schema: Mapping[str, Any], required: bool, definitions: Mapping[str, Any]) -> forms.Field:
    schema = _resolved(schema, definitions)
    common: dict[str, Any] = {
        "required": required,
        "label": name,
        "help_text": schema.get("description", ""),
        "initial": schema.get("default"),
    }
    if "enum" in schema:
        return forms.ChoiceField(choices=[(value, value) for value in schema["enum"]], **common)
    match schema.get("type"):
        case "boolean":
            return forms.BooleanField(**{**common, "required": False})
        case "integer":
            return forms.IntegerField(**common)
        case "number":
            return forms.FloatField(**common)
        case "string":
            return forms.CharField(strip=False, widget=forms.TextInput(attrs={"dir": "auto"}), **common)
    attributes = {"rows": 3, "dir": "ltr"}
    return forms.JSONField(error_messages={"invalid": _("This is not valid JSON.")}, widget=forms.Textarea(attrs=attributes), **common)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rsplit("/", 1)[-1]], **schema}
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return {**schema, **choices[0]} if len(choices) == 1 else schema
