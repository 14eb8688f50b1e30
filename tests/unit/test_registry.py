"""What is said of a call by the signature of its task."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from weakref import WeakSet

import pytest
from celery import current_app
from celery.signals import import_modules

from jobs import registry
from jobs.integrations import coroutines


def with_a_session(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any) -> Any:
        return function("session", *args)

    return wrapper


def add(a: int, b: int = 1) -> int:
    return a + b


def bound(self: Any, a: int) -> int:
    return a + 1


def needs(session: str, a: int) -> int:
    return a + 1


async def later(a: int) -> int:
    return a + 1


MADE: dict[str, Any] = {
    "plain": (add, {}),
    "bound": (bound, {"bind": True}),
    "retried": (add, {"autoretry_for": (KeyError,)}),
    "decorated": (with_a_session(needs), {}),
    "coroutine": (wraps(later)(lambda *args, **kwargs: coroutines.run(later, *args, **kwargs)), {}),
}


@pytest.mark.parametrize(
    ("kind", "args", "kwargs", "expected"),
    [
        ("plain", [], {}, True),
        ("plain", [1, 2, 3], {}, True),
        ("plain", [1], {"c": 1}, True),
        ("plain", ["x"], {}, False),
        ("bound", [], {}, True),
        ("bound", ["x"], {}, False),
        ("retried", [], {}, True),
        ("retried", ["x"], {}, False),
        ("decorated", ["x"], {}, False),  # by its signature it takes two
        ("decorated", [], {}, True),
        ("coroutine", [], {}, True),
        ("coroutine", ["x"], {}, False),
    ],
)
def test_a_call_that_no_attempt_could_make_is_told_from_an_error_of_the_body(
    kind: str, args: list[Any], kwargs: dict[str, Any], expected: bool
) -> None:
    function, options = MADE[kind]
    task = current_app.task(function, name=f"called.{kind}", shared=False, **options)
    try:
        with pytest.raises(TypeError) as raised:
            task(*args, **kwargs)
        assert registry.is_of_the_call(task, args, kwargs, raised.value) is expected
        assert not registry.is_of_the_call(task, args, kwargs, ValueError("no TypeError"))
    finally:
        current_app.tasks.unregister(f"called.{kind}")


@pytest.mark.parametrize("annotation", ["the number of it", "csv._DialectLike", "1/0", "NoSuchName", "list['the number']"])
def test_an_annotation_that_is_no_type_costs_the_types_and_nothing_else(annotation: str) -> None:
    def odd(count: int, *, other: int = 1) -> int:
        return count

    odd.__annotations__["count"] = annotation
    made = current_app.task(odd, name=f"u.{annotation}", shared=False)
    try:
        assert list(registry.signature(made).parameters) == ["count", "other"]
        assert str(registry.signature(made).parameters["count"].annotation) == annotation
    finally:
        current_app.tasks.pop(made.name)


def test_the_task_modules_are_imported_once_however_often_the_types_are_asked_for() -> None:
    registry.job_types()
    sent = []

    def noted(**given: Any) -> None:
        sent.append(given)

    import_modules.connect(noted)
    try:
        assert "jobs.tasks.sleep" in registry.job_types()
        assert registry.get("no.such.task") is None
    finally:
        import_modules.disconnect(noted)
    assert sent == []


def test_the_first_question_for_the_types_leaves_django_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up anew, it would disable the loggers of the project, and forget the path that the web server has given the request."""
    done: list[str] = []
    monkeypatch.setattr(registry, "_imported", WeakSet())
    monkeypatch.setattr("django.setup", lambda: done.append("setup"))
    monkeypatch.setattr("django.core.checks.run_checks", lambda: done.append("checks"))
    assert "jobs.tasks.sleep" in registry.job_types()
    assert done == []
    current_app.loader.import_default_modules()  # a worker's
    assert done == ["setup", "checks"]
