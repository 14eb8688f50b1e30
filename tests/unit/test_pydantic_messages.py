"""Each reason that a signature of a task can refuse a value for, in the reader's language."""

import json
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from annotated_types import Predicate
from django.utils import translation
from pydantic import (
    UUID4,
    AfterValidator,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    Field,
    FutureDate,
    Json,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    TypeAdapter,
    ValidationError,
)

from jobs.pydantic_messages import translate


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pair(NamedTuple):
    first: int


@dataclass
class Point:
    x: int


def _never(value: int) -> int:
    assert value < 0, "no"
    return value


PET = Annotated[Cat | Dog, Field(discriminator="kind")]
MONEY = Annotated[Decimal, Field(max_digits=5, decimal_places=1)]
WRONG: list[tuple[Any, Any]] = [
    (UUID, "x"), (UUID, 1), (UUID4, "12345678-1234-1234-1234-123456789abc"), (Decimal, "x"), (Decimal, []), (MONEY, "1.23"),
    (MONEY, "1234567"), (MONEY, "12345"), (Decimal, "NaN"), (Fraction, "x"), (complex, "x"), (Colour, "green"), (Literal["a", 1, "c"], "b"),
    (bytes, 1), (Annotated[bytes, Field(min_length=2)], "a"), (Annotated[bytes, Field(max_length=2)], "abc"), (time, "x"), (time, []),
    (timedelta, "x"), (timedelta, []), (date, "x"), (date, 5), (PastDate, "2999-01-01"), (FutureDate, "1999-01-01"), (datetime, "x"),
    (PastDatetime, "2999-01-01T00:00:00"), (AwareDatetime, "2020-01-01T10:00:00"), (NaiveDatetime, "2020-01-01T10:00:00Z"),
    (tuple[int, str], [1, "a", 3]), (tuple[int, str], 1), (set[int], 1), (frozenset[int], 1), (deque[int], 1), (Iterable[int], 1),
    (Annotated[list[int], Field(min_length=2)], [1]), (list[int], {}), (dict[str, int], 1), (Mapping[str, int], 1), (Counter[str], 1),
    (OrderedDict[str, int], 1), (Cat, 1), (Point, 1), (Pair, 1), (PET, {"kind": "bird"}), (PET, {}), (None, 1), (Json[int], "{"),
    (Annotated[str, Field(pattern="^a")], "b"), (Annotated[int, Field(multiple_of=5)], 3), (re.Pattern[str], "("), (Path, 1),
    (AnyUrl, "x"), (Annotated[int, Predicate(lambda value: value > 5)], 1), (int, "x"), (float, "x"), (bool, "x"), (str, 1),
]  # fmt: skip


def problem(hint: Any, value: Any, *, strict: bool) -> Any:
    adapter = TypeAdapter[Any](hint)
    try:
        adapter.validate_json(json.dumps(value), strict=True) if strict else adapter.validate_python(value)
    except ValidationError as error:
        return error.errors(include_url=False)[0]
    return None


@pytest.mark.parametrize(("hint", "value"), WRONG)
@pytest.mark.parametrize("strict", [True, False], ids=["of a row", "of the form"])
def test_no_english_is_left_in_arabic(hint: Any, value: Any, strict: bool) -> None:
    found = problem(hint, value, strict=strict)
    if found is None:
        assert not strict, "a form may take more"
        return
    with translation.override("ar"):
        text = translate(found)
    shown = re.sub(r"'[^']*'|JSON|UUID|null|name|kind|1\+2j|\^a|IP", "", text)
    assert re.search(r"[؀-ۿ]", text), text
    assert not re.search(r"[A-Za-z]", shown), (found["type"], text)


def test_what_a_check_says_itself_is_shown() -> None:
    assert translate(problem(Annotated[int, AfterValidator(_never)], 1, strict=True)).startswith("no")
    assert translate(problem(IPv4Address, "x", strict=True)) == "Expected 4 octets in 'x'"
    assert translate({"type": "value_error", "msg": "value is not a valid e-mail address", "ctx": {"reason": "no @"}}).endswith("address")
