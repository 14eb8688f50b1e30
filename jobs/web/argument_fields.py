"""The fields of a task's form, each from the JSON schema of an argument."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from jobs.web.widgets import JSONField, Lines, TextField

_BLANK: Final = ("", "–")
_ONE_LINE: Final = ("maxLength", "pattern")  # who says so much of a text wants no letter of many lines


class Schema(GenerateJsonSchema):
    """pydantic's, in which a decimal number is a text: as a number of JSON it would be a float."""

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        """A text of its own format."""
        return {"type": "string", "format": "decimal"}


def field_for(schema: Mapping[str, Any], required: bool, definitions: Mapping[str, Any]) -> forms.Field:
    """The field of one argument. One that must be given and may be null is null when it is left empty, but where JSON is typed."""
    schema, nullable = _resolved(schema, definitions)
    initial = schema.get("default")
    common: dict[str, Any] = {"required": required and not nullable, "help_text": schema.get("description", ""), "initial": initial}
    if "enum" in schema:
        values = {str(value): value for value in schema["enum"]}
        choices = [*([_BLANK] if nullable or initial is None else []), *((text, text) for text in values)]
        return forms.TypedChoiceField(choices=choices, coerce=values.__getitem__, empty_value=None, **common)
    match schema.get("type"):
        case "boolean":
            return forms.BooleanField(**{**common, "required": False})
        case "integer":
            return forms.IntegerField(**common)
        case "number":
            return forms.FloatField(**common)
        case "string":
            return _text(schema, None if nullable else "", common)
    widget = forms.Textarea(attrs={"rows": 3, "dir": "ltr"})
    return JSONField(widget=widget, **common | {"required": required})


def _text(schema: Mapping[str, Any], empty: str | None, common: Mapping[str, Any]) -> forms.Field:
    if schema.get("format", "binary") != "binary":
        return forms.CharField(widget=forms.TextInput(attrs={"dir": "ltr"}), empty_value=empty, **common)
    one_line = any(name in schema for name in _ONE_LINE)
    return TextField(widget=forms.TextInput(attrs={"dir": "auto"}) if one_line else Lines(), empty_value=empty, **common)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The schema itself where it is a reference or a choice of one, and whether null is the other choice."""
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rsplit("/", 1)[-1]], **schema}
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) != 1:
        return schema, False
    inner, _ = _resolved(choices[0], definitions)
    return {**inner, **schema}, True
