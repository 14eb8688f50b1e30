"""What is kept of an exception, also of one that raises when somebody looks at it."""

import logging
import pickle
import sys

import pytest

from jobs import masking
from jobs.celery_app import failures
from jobs.domain.errors import PermanentError
from tests.taskapp.unreadable import UNREADABLE, unreadable


@pytest.mark.parametrize("how", [*UNREADABLE])
def test_what_cannot_be_looked_at_has_one_that_can_in_its_place(how: str) -> None:
    try:
        raise unreadable(how)
    except Exception as raised:
        error, kind = failures.readable(raised), type(raised)
        found = failures.of(raised)
    assert isinstance(error, Exception)
    assert (type(error).__name__, failures.kind(error), bool(error)) == ("Unreadable", kind, True)
    again = pickle.loads(pickle.dumps(error))  # as Celery tries, and as prefork does
    assert (type(again).__name__, str(again)) == ("Unreadable", str(error))
    assert failures.of(error, error.__traceback__).traceback.count("test_what_cannot_be_looked_at") == 1
    assert found.error_class == "Unreadable"
    assert "Unreadable" in found.traceback


class _Falsy(Exception):
    def __len__(self) -> int:
        return 0


class _WithoutText(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    "error", [ValueError("x"), PermanentError("y"), KeyError(), ExceptionGroup("g", [ValueError()]), _Falsy(), _WithoutText()], ids=repr
)
def test_any_other_stays_as_it_is(error: Exception) -> None:
    assert failures.readable(error) is failures.given(error) is error
    assert failures.kind(error) is type(error)


def test_one_that_is_unreadable_by_what_it_came_from_loses_only_that() -> None:
    with pytest.raises(PermanentError) as raised:
        raise PermanentError("closed") from unreadable("its notes")
    assert failures.readable(raised.value) is raised.value
    assert "in test_one_that_is_unreadable" in failures.of(raised.value).traceback


def test_its_text_is_a_plain_one() -> None:
    kind = type("Text", (str,), {"replace": None})
    assert type(failures.message(kind("no response"))) is str


@pytest.mark.parametrize("how", [*UNREADABLE])
def test_the_log_says_what_there_is_to_say(how: str) -> None:
    try:
        raise unreadable(how)
    except Exception:
        record = logging.LogRecord("jobs.worker", logging.ERROR, "here", 1, "it raised: %s, password=1", (_WithoutText(),), sys.exc_info())
    assert masking.Filter().filter(record)
    assert record.getMessage().startswith("it raised: ")
    assert "password=***" in record.getMessage()
    assert "in test_the_log_says_what_there_is_to_say" in (record.exc_text or "")
