"""The form from a task's signature: which fields it has, and how what is typed becomes arguments."""

import inspect
from typing import Any

import pytest
from django.utils.datastructures import MultiValueDict

from jobs.web.arguments import ArgumentsForm, form_for


class Unreadable:
    """A type that no JSON can be."""


def stars(first: int, *numbers: int, flag: bool = False, **options: str) -> None: ...


def placed(first: int, second: str = "b", /, third: int = 3) -> None: ...


def odd(json: int, model: Unreadable, schema: "Nowhere" = None, clean: str = "", _hidden: int = 0) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def filled(function: Any, **texts: str) -> ArgumentsForm:
    return form_for(inspect.signature(function))(MultiValueDict({name: [text] for name, text in texts.items()}))


def test_stars_have_a_json_field_each() -> None:
    form = form_for(inspect.signature(stars))()
    assert [field.label for field in form.fields.values()] == ["first", "*numbers", "flag", "**options"]


@pytest.mark.parametrize(
    ("texts", "args", "kwargs"),
    [
        ({"first": "1"}, [], {"first": 1, "flag": False}),
        ({"first": "1", "numbers": "[2, 3]"}, [1, 2, 3], {"flag": False}),
        ({"first": "1", "options": '{"colour": "red"}', "flag": "on"}, [], {"first": 1, "flag": True, "colour": "red"}),
        ({"first": "1", "numbers": "[2]", "options": '{"a": "b"}'}, [1, 2], {"flag": False, "a": "b"}),
    ],
)
def test_what_is_typed_fits_the_function(texts: dict[str, str], args: list[Any], kwargs: dict[str, Any]) -> None:
    form = filled(stars, **texts)
    assert form.is_valid(), form.errors
    assert (form.args, form.kwargs) == (args, kwargs)
    inspect.signature(stars).bind(*form.args, **form.kwargs)


@pytest.mark.parametrize(
    ("field", "text"),
    [("numbers", "1"), ("numbers", '{"a": 1}'), ("numbers", '["x"]'), ("numbers", "[1"), ("options", "[]"), ("options", '{"a": 1.5}'),
     ("options", '{"first": "2"}')],
)  # fmt: skip
def test_an_error_stands_at_its_field(field: str, text: str) -> None:
    form = filled(stars, first="1", **{field: text})
    assert not form.is_valid()
    assert list(form.errors) == [field]


def test_all_that_is_wrong_is_said_at_once() -> None:
    """What can be read is checked beside what cannot; that is not said to be missing as well."""
    form = filled(stars, first="many", numbers='["x"]', options="{")
    assert {name: len(errors) for name, errors in form.errors.items()} == {"first": 1, "numbers": 1, "options": 1}
    form = filled(stars, first="1", options="[1")
    assert list(form.errors) == ["options"]


def test_what_only_has_a_place_is_sent_by_place() -> None:
    form = filled(placed, first="1", third="5")
    assert form.is_valid()
    assert (form.args, form.kwargs) == ([1], {"third": 5})
    form = filled(placed, first="1", second="x")
    assert form.is_valid()
    assert (form.args, form.kwargs) == ([1, "x"], {})


def test_names_and_types_that_pydantic_does_not_like_make_a_form_all_the_same() -> None:
    form = filled(odd, json="1", model='{"a": 1}', _hidden="2")
    assert form.is_valid(), form.errors
    assert form.kwargs == {"json": 1, "model": {"a": 1}, "_hidden": 2}


def test_an_optional_json_field_is_empty_not_the_word_null() -> None:
    def task(headers: dict[str, str] | None = None) -> None: ...

    assert "null" not in str(form_for(inspect.signature(task))()["headers"])
