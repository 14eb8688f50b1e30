"""Values in a row: what PostgreSQL's json takes, and what comes back of it."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import EncodeError
from kombu.utils.json import loads

from jobs.celery_app import settle
from jobs.celery_app.encoding import text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@given(VALUES)
def test_every_value_comes_back_and_the_text_is_json(value: Any) -> None:
    written = text(value)
    json.loads(written, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert same(value, loads(written))


def test_types_that_kombu_knows_beside_numbers_that_json_lacks() -> None:
    value = [float("nan"), float("-inf"), datetime(2026, 1, 1, tzinfo=UTC), Decimal("1.10"), {"NaN": "Infinity"}]
    back = loads(text(value))
    assert math.isnan(back[0])
    assert back[1:] == value[1:]


def test_what_has_no_json() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in (object(), {1, 2}, endless, {(1, 2): 3}):
        with pytest.raises(EncodeError):
            text(value)


def test_a_result_that_no_statement_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "LONGEST", 10)
    assert settle.encode("12345678") == '"12345678"'
    with pytest.raises(EncodeError, match="11 characters of JSON; a row takes 10"):
        settle.encode("123456789")
