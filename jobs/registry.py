"""The job types: registered Celery tasks that people may create."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from traceback import walk_tb
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from celery import Celery, current_app
from celery.fixups.django import DjangoFixup
from django.apps import apps

from jobs import destinations, given

_imported: Final[WeakSet[Celery]] = WeakSet()  # the apps whose task modules are there


def job_types() -> dict[str, Any]:
    """Every registered task but Celery's own, by name."""
    app = current_app._get_current_object()
    if app not in _imported:
        _import(app)
        _imported.add(app)
    app.finalize(auto=True)
    return {name: task for name, task in sorted(app.tasks.items()) if not name.startswith("celery.")}


def _import(app: Celery) -> None:
    """Import the task modules as a worker does, but leave Django as it is where it is set up."""
    # Celery would set it up anew: that disables the loggers that LOGGING does not name, and takes the path of the web server
    # (SCRIPT_NAME) from the addresses of the request that asks. It would run all checks, too.
    fixups = [vars(fixup.worker_fixup) for fixup in app._fixups if isinstance(fixup, DjangoFixup)] if apps.ready else []
    for fixup in fixups:
        fixup["validate_models"] = lambda: None
    try:
        app.loader.import_default_modules()
    finally:
        for fixup in fixups:
            fixup.pop("validate_models", None)


def get(name: str) -> Any | None:
    """The task of that name, or None. The task modules are imported only when the name is not known yet: bulk calls ask for each row."""
    if name.startswith("celery."):
        return None
    return current_app.tasks.get(name) or job_types().get(name)


_known: list[Any] = [None, {}, "", False]  # the configuration, what had been changed in it, and what it says


class WrongOption(ValueError):
    """An option of a task or its route that no job can have; `option` names it."""

    def __init__(self, option: str, error: ValueError) -> None:
        super().__init__(str(error))
        self.option = option


class Way(NamedTuple):
    """Where `.delay()` would send a call, how urgent and for how many seconds; None where neither the task nor a route says it."""

    queue: str
    priority: int | None = None
    timeout: int | None = None


def way(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Way:
    """By the task's own options and `task_routes`; None for a task that is not known. Raises WrongOption for what no job can be sent by."""
    default, are_routed = _settings()
    if task is None:
        return Way(default)
    options = task._get_exec_options()
    if are_routed:
        options = current_app.amqp.router.route(dict(options), task.name, args, kwargs, task)
    said = options.get
    queue, exchange, key, priority = said("queue"), said("exchange"), said("routing_key"), said("priority")
    if queue is not None or exchange is not None or key is not None:
        default = _read("queue", destinations.queue_of, current_app, queue, exchange, key)
    hard, soft = said("time_limit") or task.time_limit, said("soft_time_limit")
    if hard is not None or soft is not None:
        _read("timeout", given.limits, (hard, soft))
    timeout = given.seconds(hard) or _read("timeout", given.seconds, getattr(task, "timeout", None))
    return Way(default, None if priority is None else _read("priority", given.priority, priority), timeout)


def _read(option: str, read: Callable[..., Any], *values: Any) -> Any:
    """What that makes of the values. Raises WrongOption."""
    try:
        return read(*values)
    except ValueError as error:
        raise WrongOption(option, error) from error


def _settings() -> tuple[str, bool]:
    """`task_default_queue`, and whether there are `task_routes`; looked up again when the configuration was changed, for Celery takes
    10 microseconds for it.
    """
    conf = current_app.conf
    if _known[0] is not conf or _known[1] != conf.changes:
        _known[:] = [conf, dict(conf.changes), str(conf.task_default_queue), bool(conf.task_routes)]
    return _known[2], _known[3]


def _fits(task: Any, count: int, kwargs: Mapping[str, Any]) -> str:
    """Why the task cannot be called with so many arguments and these names; empty when it can."""
    known, takes_any = _names(task)
    others = kwargs.keys() - known
    if others and not takes_any:
        return _bound(task, count, tuple(kwargs))
    return _remembered(task, count, tuple(name for name in kwargs if name not in others) if others else tuple(kwargs))


@lru_cache(maxsize=1024)
def _names(task: Any) -> tuple[frozenset[str], bool]:
    """Those of its parameters, and whether it takes any others."""
    parameters = signature(task).parameters
    return frozenset(parameters), any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def _bound(task: Any, count: int, names: tuple[str, ...]) -> str:
    try:
        signature(task).bind(*range(count), **dict.fromkeys(names))
    except TypeError as error:
        return str(error)
    return ""


_remembered: Final = lru_cache(maxsize=8192)(_bound)  # of names in the signature alone: callers may make up any number of others


def check_call(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TypeError when the task cannot be called with as many arguments and these names."""
    message = _fits(task, len(args), kwargs)
    if message:
        raise TypeError(message)


def misfit(task: Any, args: Sequence[Any]) -> str:
    """Which part of a call is wrong that `check_call` refuses: "args" where the task takes fewer of them, else "kwargs"."""
    try:
        signature(task).bind_partial(*args)
    except TypeError:
        return "args"
    return "kwargs"


def with_models_dumped(task: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The same call, with the models of a task with `pydantic=True` as its `.delay()` sends them (Celery 5.7)."""
    dump = getattr(task, "_dump_pydantic_arguments", None)
    return (args, kwargs) if dump is None else dump(args, kwargs)


def is_of_the_call(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException) -> bool:
    """Whether the task was called with as many arguments and these names, cannot be, and raised that: its body has not begun."""
    if not isinstance(error, TypeError) or not _fits(task, len(args), kwargs):
        return False
    body = getattr(_function(task), "__code__", None)
    return all(frame.f_code is not body for frame, _line in walk_tb(error.__traceback__))


def _function(task: Any) -> Any:
    return inspect.unwrap(getattr(task, "_orig_run", None) or task.run)


@lru_cache(maxsize=1024)
def signature(task: Any, *, noted: bool = True) -> inspect.Signature:
    """How the task is called, without self, annotations evaluated; or with the types alone, without what `Annotated` notes beside them."""
    function = _function(task)
    plain = getattr(function, "__func__", function)
    try:
        hints = typing.get_type_hints(plain, include_extras=noted)
    except Exception:  # to evaluate a sentence, or a name for type checkers, may raise anything; a call needs no types
        hints = {}
    found = inspect.signature(function)
    parameters = [p.replace(annotation=hints.get(p.name, p.annotation)) for p in found.parameters.values()]
    return found.replace(parameters=parameters, return_annotation=hints.get("return", found.return_annotation))


@lru_cache(maxsize=1024)
def names_types(task: Any) -> bool:
    """Whether its signature names the type of any argument."""
    hints = (parameter.annotation for parameter in signature(task).parameters.values())
    return any(hint is not inspect.Parameter.empty and not isinstance(hint, str) for hint in hints)
