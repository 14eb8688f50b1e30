"""What a process remembers of the calls that it has judged does not grow with their arguments."""

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app

from jobs import masking
from jobs.enqueueing import InvalidJob, validate


def numbered(first: int, *rest): ...  # type: ignore[no-untyped-def]
def secret(first, *tokens): ...  # type: ignore[no-untyped-def]
def named(**options): ...  # type: ignore[no-untyped-def]


LENGTHS = range(1000, 1050)
MOST = 300_000  # bytes


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Iterator[Any]:
    task = current_app.task(request.param, name="u.made", shared=False)
    yield task
    current_app.tasks.unregister("u.made")


def kept(call: Callable[[int], Any]) -> int:
    """The bytes that are held after a call of each length."""
    call(LENGTHS.stop)
    gc.collect()
    tracemalloc.start()
    try:
        for length in LENGTHS:
            call(length)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("made", [numbered], indirect=True)
def test_any_number_of_arguments(made: Any) -> None:
    assert kept(lambda length: validate(made, args=range(length))) < MOST
    with pytest.raises(InvalidJob, match="first: "):
        validate(made, args=["1", *range(3)])


@pytest.mark.parametrize("made", [named], indirect=True)
def test_names_of_any_kind(made: Any) -> None:
    assert kept(lambda length: validate(made, kwargs={f"{length} {place}": 0 for place in range(length)})) < MOST


@pytest.mark.parametrize("made", [numbered], indirect=True)
def test_names_that_do_not_fit(made: Any) -> None:
    def refused(length: int) -> None:
        with pytest.raises(InvalidJob):
            validate(made, args=[1], kwargs={f"{length} {place}": 0 for place in range(length)})

    assert kept(refused) < MOST


@pytest.mark.parametrize("made", [secret], indirect=True)
def test_any_number_of_secrets(made: Any) -> None:
    assert kept(lambda length: masking.positional("u.made", json.loads(json.dumps([*range(length)])))) < MOST
    shown = masking.positional("u.made", [*range(4)])
    assert shown[0] == 0
    assert 3 not in shown
