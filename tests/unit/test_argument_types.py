"""enqueue() judges the types of arguments by the task's signature, with the sentences of the form."""

import datetime
import enum
import inspect
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from celery import shared_task
from django.utils import translation
from kombu.utils.json import loads
from pydantic import BaseModel, Field

from jobs.argument_types import readable
from jobs.enqueueing import InvalidJob, validate
from jobs.web.arguments import form_for


class Colour(enum.StrEnum):
    RED = "red"


class Point(BaseModel):
    x: int


class Opaque:
    """A type that no JSON can be."""


@shared_task(name="u.typed")
def typed(
    number: int, ratio: float = 1.0, /, text: str = "", *, flag: bool = False, names: list[str] | None = None, by_id: dict[int, str] = {},  # noqa: B006
    when: datetime.datetime | None = None, amount: Decimal = Decimal(0), size: Literal["s", "m"] = "s", colour: Colour = Colour.RED,
    few: Annotated[int, Field(le=3)] = 0, point: Point = Point(x=0), old: int = None, thing: Opaque = None, free: Any = None, bare=None,  # type: ignore # noqa: B008, RUF013
) -> None: ...  # fmt: skip


@shared_task(name="u.stars")
def stars(first: int, *numbers: int, **options: str) -> None: ...


@shared_task(name="u.bare")
def bare(first, *rest, **more): ...  # type: ignore[no-untyped-def]


PREFIX = "kwargs These arguments do not fit the task: "


def wrong(task: Any, *args: Any, **kwargs: Any) -> str:
    """The message of InvalidJob, or nothing."""
    with translation.override("en"):
        try:
            validate(task, args=args, kwargs=kwargs)
        except InvalidJob as error:
            return "; ".join(f"{field} {text}" for field, texts in error.message_dict.items() for text in texts).removeprefix(PREFIX)
    return ""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {}),
        ((1, 2), {}),
        ((1, 2.5, "x"), {}),
        ((1,), {"text": "x", "flag": True}),
        ((1,), {"names": ["a"]}),
        ((1,), {"names": None}),
        ((1,), {"names": ("a", "b")}),
        ((1,), {"by_id": {1: "a"}}),
        ((1,), {"when": datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)}),
        ((1,), {"when": "2030-01-01T00:00:00Z"}),
        ((1,), {"amount": Decimal("1.5")}),
        ((1,), {"size": "m"}),
        ((1,), {"colour": Colour.RED}),
        ((1,), {"few": 3}),
        ((1,), {"point": {"x": 1}}),
        ((1,), {"old": None}),
        ((1,), {"old": 2}),
        ((1,), {"thing": [1]}),
        ((1,), {"free": 0}),
        ((1,), {"bare": "anything"}),
    ],
)
def test_what_the_task_can_take_is_accepted(args: Any, kwargs: Any) -> None:
    assert wrong(typed, *args, **kwargs) == ""


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("1",), {}, "number: Enter a whole number."),
        ((True,), {}, "number: Enter a whole number."),
        ((None,), {}, "number: Enter a whole number."),
        ((1, "soon"), {}, "ratio: Enter a number."),
        ((1,), {"text": 5}, "text: Enter text."),
        ((1,), {"flag": 1}, "flag: Choose yes or no."),
        ((1,), {"names": "ab"}, "names: Enter a list, as JSON: [1, 2]."),
        ((1,), {"names": [1]}, "names: Enter text."),
        ((1,), {"by_id": []}, 'by_id: Enter an object, as JSON: {"name": 1}.'),
        ((1,), {"when": "soon"}, "when: Enter a valid date and time."),
        ((1,), {"size": "xl"}, "size: Choose one of: 's' or 'm'."),
        ((1,), {"few": 4}, "few: Enter a number of at most 3."),
        ((1,), {"point": {}}, "point: This field is required."),
        ((1,), {"old": "x"}, "old: Enter a whole number."),
        (("a", "b"), {}, "number: Enter a whole number.; ratio: Enter a number."),
    ],
)
def test_what_it_cannot_take_is_refused_with_the_name(args: Any, kwargs: Any, message: str) -> None:
    assert wrong(typed, *args, **kwargs) == message


@shared_task(name="u.values")
def values(
    pk: uuid.UUID, when: datetime.datetime, text: str = "", ratio: float = 0, raw: bytes = b"", many: list[Decimal] | None = None
) -> None: ...


PK, NOW = uuid.uuid4(), datetime.datetime(2030, 1, 1, 1, 1, 1, 123456, datetime.UTC)


@pytest.mark.parametrize(
    "call", [((PK, NOW), {}), ((str(PK), NOW.isoformat()), {}), ((PK,), {"when": NOW, "raw": b"\xff", "many": [Decimal(1)]})]
)
def test_values_that_kombu_writes_by_type_are_accepted_and_come_back(call: Any) -> None:
    args, kwargs = call
    new = validate(values, args=args, kwargs=kwargs)
    assert (loads(new.args), loads(new.kwargs)) == (list(args), kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"text": PK}, "text: Enter text."), ({"ratio": Decimal("1.5")}, "ratio: Enter a number."), ({"many": [PK]}, "many: ")],
)
def test_such_a_value_is_refused_where_the_signature_names_another_type(kwargs: dict[str, Any], message: str) -> None:
    assert wrong(values, PK, NOW, **kwargs).startswith(message)


@pytest.mark.parametrize("written", [{"__type__": "no such", "__value__": 1}, {"__type__": "decimal", "__value__": "x"}])
def test_what_no_worker_could_read_is_refused(written: Any) -> None:
    assert "cannot be stored as JSON" in wrong(bare, written)


def test_stars_have_types_too() -> None:
    assert wrong(stars, 1, 2, 3, colour="red") == ""
    assert wrong(stars, 1, 2, "3") == "numbers: Enter a whole number."
    assert wrong(stars, 1, colour=1) == "colour: Enter text."
    assert wrong(stars, first=1, colour="red") == ""
    assert wrong(stars, first="1") == "first: Enter a whole number."


def test_a_task_without_types_takes_anything() -> None:
    assert wrong(bare, None, "x", more=[1]) == ""


@pytest.mark.parametrize(("value", "message"), [("soon", "Enter a number."), (None, "This field is required.")])
def test_the_form_says_the_same(value: Any, message: str) -> None:
    from jobs import registry, tasks

    with translation.override("en"):
        form = form_for(registry.signature(tasks.sleep))({"seconds": value or ""})
        assert form.errors == {"seconds": [message]}
    if value:
        assert wrong(tasks.sleep, seconds=value) == f"seconds: {message}"


@pytest.mark.parametrize("hint", [Annotated[str, Field(pattern=r"^(?=.*\d).+$")], Literal[()], {"a": int}])
def test_a_type_that_cannot_be_judged_takes_anything(hint: Any) -> None:
    """A pattern of Python's own, say, which pydantic's engine does not know."""
    parameter = inspect.Parameter("code", inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=None)
    assert readable(parameter) is Any
