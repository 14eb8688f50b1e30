"""A traceback is taken apart without losing a line; frames of libraries are told from the project's own."""

import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.tracebacks import Kind, last_own, split

CHAINED = """Traceback (most recent call last):
  File "/srv/app/.venv/lib/python3.11/site-packages/celery/app/trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
                 ^^^^^^^^^^^^^^^^^^^^
  File "/srv/app/.venv/lib/python3.11/site-packages/celery/app/trace.py", line 736, in __protected_call__
    return self.run(*args, **kwargs)
  File "/srv/app/shop/orders.py", line 41, in charge
    return pay(order)
  File "/srv/app/shop/money.py", line 7, in pay
    return pay(order)
  [Previous line repeated 3 more times]
  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "C:\\shop\\late.py", line 9, in late
    raise ValueError(text)
ValueError: two lines
  of text
"""


def test_frames_are_told_apart_and_neighbours_of_libraries_stand_together() -> None:
    parts = split(CHAINED)
    assert [(part.kind.value, part.frames) for part in parts] == [
        ("text", 0), ("library", 2), ("own", 1), ("own", 1), ("library", 1), ("text", 0), ("own", 1), ("text", 0),
    ]  # fmt: skip
    assert [(part.file, part.line, part.function) for part in parts if part.kind is Kind.OWN] == [
        ("/srv/app/shop/orders.py", 41, "charge"), ("/srv/app/shop/money.py", 7, "pay"), ("C:\\shop\\late.py", 9, "late"),
    ]  # fmt: skip
    assert "repeated 3 more" in parts[3].text
    assert parts[-1].text == "ValueError: two lines\n  of text"
    last = last_own(parts)
    assert last is not None
    assert last.function == "late"


@pytest.mark.parametrize(
    "file",
    [
        "/opt/venv/lib/python3.12/site-packages/requests/api.py", "/usr/lib/python3/dist-packages/yaml/reader.py",
        "/usr/local/lib/python3.11/threading.py", "C:\\Python311\\Lib\\json\\decoder.py", "C:\\venv\\Lib\\site-packages\\x.py",
        "<frozen importlib._bootstrap>", "/srv/x/jobs/celery_app/task.py", "jobs/worker/process.py",
    ],
)  # fmt: skip
def test_what_was_not_written_here_is_of_a_library(file: str) -> None:
    [part] = split(f'  File "{file}", line 1, in f\n    x()')
    assert (part.kind, part.text.count("\n")) == (Kind.LIBRARY, 1)


@pytest.mark.parametrize("file", ["/srv/shop/lib/money.py", "/srv/jobs/tasks.py", "/home/library/site.py", "/srv/python/shop.py"])
def test_the_projects_own_code_is_not_taken_for_a_library(file: str) -> None:
    assert split(f'  File "{file}", line 1, in f')[0].kind is Kind.OWN


def test_a_real_traceback_and_a_group_of_errors() -> None:
    try:
        try:
            "".encode("no-such-codec")
        except LookupError as error:
            raise ExceptionGroup("several", [error, ValueError("x")]) from None
    except ExceptionGroup:
        text = "".join(traceback.format_exception(*sys.exc_info()))
    parts = split(text)
    own = [part for part in parts if part.kind is Kind.OWN]
    assert {part.file for part in own} == {__file__}
    assert any("no-such-codec" in part.text for part in own)


@given(st.lists(st.sampled_from([*CHAINED.splitlines(), "", '  File "x', "    ", "a"])))
def test_no_line_is_lost(lines: list[str]) -> None:
    assert "\n".join(part.text for part in split("\n".join(lines))) == "\n".join(lines).removesuffix("\n")


def test_nothing_gives_nothing() -> None:
    assert split("") == []
    assert last_own([]) is None


@pytest.mark.parametrize("number", ["9" * 5_000, "1" * 10])
def test_a_line_number_that_no_file_has_makes_no_frame(number: str) -> None:
    """An error's text may say anything; Python reads no number of thousands of digits."""
    text = f'ValueError: x\n  File "a.py", line {number}, in f'
    assert [(part.kind, part.text) for part in split(text)] == [(Kind.TEXT, text)]
