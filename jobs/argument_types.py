"""The types of a task's arguments, as its signature names them: what the form offers, and what `enqueue()` accepts."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Optional
from uuid import UUID

from kombu.utils.json import loads
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # before Python 3.12 pydantic cannot read typing's own

from jobs import registry
from jobs.domain import typed
from jobs.pydantic_messages import translate

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_TYPED: Final = (date, time, Decimal, UUID, bytes)
SHOWN = 5  # problems named in one message


def readable(parameter: inspect.Parameter) -> Any:
    """The parameter's type if a value of it can be read from JSON, else Any. A default of None allows None."""
    hint = parameter.annotation
    if hint is inspect.Parameter.empty or isinstance(hint, str):
        return Any
    try:
        wanted: Any = Optional[hint] if parameter.default is None else hint  # noqa: UP045 - not every annotation has an |
        TypeAdapter(wanted).json_schema()
    except Exception:  # pydantic's own errors, those of its engine (a pattern that it does not know), of hooks of the type
        return Any
    return wanted


def problems(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], args_text: str, kwargs_text: str) -> str:
    """What is wrong with values that fit the task in number and names, as one line; empty when nothing is.

    The JSON texts are judged, because they are what the task gets: nothing is converted but what kombu writes by type.
    """
    found: list[str] = []
    if args:
        names, own = _place_names(task), _places(task)
        placed, more = _positional(task, min(len(args), own))
        if len(args) <= own:
            found += _judge(placed, args_text, names)
        elif placed or more:  # the texts of the two parts
            values = json.loads(args_text)
            found += _judge(placed, json.dumps(values[:own]), names)
            found += _judge(more, json.dumps(values[own:]), names[own:])
    if kwargs:
        named, rest = _named(task)
        found += _judge(named, kwargs_text)
        if rest is not None:
            known = registry.signature(task).parameters
            found += _judge(rest, json.dumps({key: value for key, value in json.loads(kwargs_text).items() if key not in known}))
    return "; ".join(found[:SHOWN])


def _judge(reader: TypeAdapter[Any] | None, text: str, names: Sequence[str] = ()) -> list[str]:
    if reader is None:
        return []
    wrong = _wrong(reader.validate_json, json.dumps(typed.plain(json.loads(text))) if typed.MARK in text else text)
    if not wrong and typed.MARK in text:
        value = loads(text)  # as JSON all is right; but where a text belongs, a UUID is none
        wrong = [one for one in _wrong(reader.validate_python, tuple(value) if names else value) if isinstance(one["input"], _TYPED)]
    return [_sentence(problem, names) for problem in wrong]


def _wrong(validate: Callable[..., Any], value: Any) -> Sequence[Any]:
    try:
        validate(value, strict=True)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _sentence(problem: Any, names: Sequence[str]) -> str:
    where = [*problem["loc"], ""]
    first = names[min(where[0], len(names) - 1)] if names and isinstance(where[0], int) else where[0]
    return f"{first}: {translate(problem)}"


@lru_cache(maxsize=1024)
def _place_names(task: Any) -> list[str]:
    return [p.name for p in registry.signature(task).parameters.values() if p.kind in (*_POSITIONAL, p.VAR_POSITIONAL)]


@lru_cache(maxsize=1024)
def _places(task: Any) -> int:
    """How many arguments have a place of their own: the others go into the signature's *."""
    return sum(p.kind in _POSITIONAL for p in registry.signature(task).parameters.values())


@lru_cache(maxsize=4096)
def _positional(task: Any, count: int) -> tuple[TypeAdapter[Any] | None, TypeAdapter[Any] | None]:
    """Read so many arguments in places of their own, and those that go into the signature's *; None where every value is right."""
    parameters = registry.signature(task).parameters.values()
    here = tuple([readable(p) for p in parameters if p.kind in _POSITIONAL][:count])
    more = [hint for p in parameters if p.kind is p.VAR_POSITIONAL and (hint := readable(p)) is not Any]
    placed = None if all(hint is Any for hint in here) else TypeAdapter(tuple[here])  # type: ignore[valid-type]
    return placed, TypeAdapter(list[more[0]]) if more else None  # type: ignore[valid-type]


@lru_cache(maxsize=1024)
def _named(task: Any) -> tuple[TypeAdapter[Any] | None, TypeAdapter[Any] | None]:
    """Read the named arguments that the signature lists, and those that go into its **; None where every value is right."""
    parameters = registry.signature(task).parameters.values()
    hints = {p.name: hint for p in parameters if p.kind in _NAMED and (hint := readable(p)) is not Any}
    rest = [hint for p in parameters if p.kind is p.VAR_KEYWORD and (hint := readable(p)) is not Any]
    named = None
    if hints:
        kind = TypedDict("Arguments", hints, total=False)  # type: ignore[misc]
        kind.__pydantic_config__ = ConfigDict(extra="allow", arbitrary_types_allowed=True)  # type: ignore[attr-defined]
        named = TypeAdapter[Any](kind)
    return named, TypeAdapter(dict[str, rest[0]]) if rest else None  # type: ignore[valid-type]
