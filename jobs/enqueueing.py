"""The verb that accepts a job: `enqueue()` validates and inserts, in the caller's transaction."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from celery.canvas import Signature
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.duration import duration_iso_string
from django.utils.translation import gettext as _
from kombu.utils.json import JSONEncoder, loads

from jobs import registry
from jobs.conf import MOST, configuration
from jobs.domain import calls, task_ids, typed
from jobs.domain.actors import is_account
from jobs.domain.priority import DEFAULT, wrong_priority
from jobs.domain.statuses import EARLIEST, LATEST, is_due_time
from jobs.domain.texts import wrong_queue, wrong_text
from jobs.models import Job
from jobs.store import clock
from jobs.store.insert import NewJob, insert, insert_many

if TYPE_CHECKING:
    from celery import Task
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

UNSET: Final[Any] = object()
MAX_RETRIES: Final = 10_000
MAX_DELAY: Final = 315_360_000  # seconds: ten years


class InvalidJob(ValidationError):
    """The request cannot be accepted; `error_dict` says why for each field."""


class SharedOptions(TypedDict, total=False):
    """What the jobs of one call of enqueue_many() have in common. As parameters they would be handed on one by one, for each job."""

    max_retries: int | None  # None: for ever
    run_at: datetime | None  # None: now
    delay: float | None  # seconds, in place of run_at
    queue: str | None
    timeout: int | None  # seconds; None: no limit
    created_by: "AbstractBaseUser | AnonymousUser | None"


class Options(SharedOptions, total=False):
    """The options of enqueue()."""

    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    name: str
    priority: int  # 9 runs first
    unique_key: str | None


def _is_whole(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


class _Encoder(JSONEncoder):
    """Values as `.delay()` sends them, so that the task gets the same; a duration, which kombu refuses, as text."""

    def default(self, o: Any) -> Any:
        return duration_iso_string(o) if isinstance(o, timedelta) else super().default(o)


_ENCODER: Final = _Encoder(allow_nan=False)
_LISTS: Final = (list, tuple)  # what nearly all arguments come in: to ask whether it is a Sequence takes longer than to encode it


def _dump(value: Any, field: str, errors: dict[str, str]) -> str:
    try:
        text = _ENCODER.encode(value)
        if "\\ud" in text:  # half of a pair of surrogates is no character
            json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8")
        if typed.MARK in text:
            loads(text)  # what a worker could not read would never run
    except typed.UNREADABLE as error:
        errors[field] = _("This cannot be stored as JSON: %(error)s") % {"error": error}
        return ""
    return text


def _known(task: Any, errors: dict[str, str]) -> tuple[Any, Any]:
    """The task's name, and the task; None: nothing is asked of its arguments."""
    name = getattr(task, "name", task)
    found = registry.get(name) if isinstance(name, str) and not isinstance(task, Signature) else None
    if isinstance(task, Signature):
        errors["task"] = _("This is a signature, whose arguments and options would be lost: pass its task, or call its apply_async().")
    elif found is None:
        errors["task"] = _("There is no task named “%(task)s”.") % {"task": str(name)[:200]}
    return name, found


def _call(task: Any, args: Any, kwargs: Any, errors: dict[str, str]) -> tuple[str, str]:
    """Both as JSON, when they fit the task (None: not known)."""
    args, kwargs = [] if args is None else args, {} if kwargs is None else kwargs
    if type(args) not in _LISTS and (isinstance(args, str | bytes) or not isinstance(args, Sequence)):
        errors["args"] = _("The positional arguments must be a list.")
    if kwargs != {}:
        _named(kwargs, "kwargs", errors)
    if "args" in errors or "kwargs" in errors:
        return "", ""
    if task is not None:
        try:
            registry.check_call(task, args, kwargs)
            args, kwargs = registry.with_models_dumped(task, args, kwargs)
        except TypeError as error:
            errors[registry.misfit(task, args)] = _("These arguments do not fit the task: %(error)s") % {"error": calls.said(str(error))}
    texts = _dump(args if type(args) in _LISTS else list(args), "args", errors), _dump(dict(kwargs), "kwargs", errors) if kwargs else "{}"
    if task is not None and not errors and (wrong := _problems(task, args, kwargs, *texts)):
        errors["kwargs"] = _("These arguments do not fit the task: %(error)s") % {"error": wrong}
    limit = configuration().max_argument_bytes
    if len(texts[0]) + len(texts[1]) > limit and sum(map(_bytes, texts)) > limit:
        field = "args" if len(texts[0]) > len(texts[1]) else "kwargs"
        errors[field] = _("The arguments are larger than JOBS_MAX_ARGUMENT_BYTES (%(limit)d bytes).") % {"limit": limit}
    return texts


def _named(values: Any, field: str, errors: dict[str, str]) -> None:
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        errors[field] = _("The named arguments must be an object with text keys.")


def replacing(arguments: Any) -> dict[str, Any]:
    """Values for named arguments of jobs that were accepted, as their rows are to have them. Raises InvalidJob."""
    errors: dict[str, str] = {}
    _named(arguments, "arguments", errors)
    text = "" if errors else _dump(dict(arguments), "arguments", errors)
    limit = configuration().max_argument_bytes
    if len(text) > limit and _bytes(text) > limit:
        errors["arguments"] = _("The arguments are larger than JOBS_MAX_ARGUMENT_BYTES (%(limit)d bytes).") % {"limit": limit}
    if errors:
        raise InvalidJob(errors)
    values: dict[str, Any] = json.loads(text)
    return values


def _bytes(text: str) -> int:
    """Of JSON whose letters are themselves; as it is written each beyond ASCII is an escape, up to three times as long."""
    return len(json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "surrogatepass")) if "\\u" in text else len(text)


def _problems(task: Any, *call: Any) -> str:
    if not registry.names_types(task):
        return ""
    from jobs import argument_types  # pydantic takes 10 MB and 0.03 s; most workers and the leader enqueue nothing this way

    return argument_types.problems(task, *call)


def _own(name: Any, priority: Any, errors: dict[str, str]) -> None:
    if name != "" and (wrong := wrong_text(name)):
        errors["name"] = wrong
    if wrong := wrong_priority(priority):
        errors["priority"] = wrong


def _due(run_at: Any, delay: Any, errors: dict[str, str]) -> Any:
    if delay is not None and run_at is not None:
        errors["run_at"] = _("Give either a delay or a time, not both.")
        return None
    if delay is not None:
        if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= MAX_DELAY:
            errors["delay"] = _("The delay is a number of seconds from 0 to %(most)d.") % {"most": MAX_DELAY}
            return None
        return clock.now() + timedelta(seconds=delay)
    if run_at is not None and not isinstance(run_at, datetime):
        errors["run_at"] = _("This is not a date and time.")
        return None
    if run_at is not None and not is_due_time(run_at):
        years = {"first": EARLIEST.year, "last": LATEST.year - 1}
        errors["run_at"] = _("A job must be due between the years %(first)d and %(last)d.") % years
        return None
    return timezone.make_aware(run_at) if run_at is not None and timezone.is_naive(run_at) else run_at


def _new(
    errors: dict[str, str], own: Mapping[str, Any], task: str, way: registry.Way, *, max_retries: Any = 3, run_at: Any = None,
    delay: Any = None, queue: Any = None, unique_key: Any = None, timeout: Any = UNSET, created_by: Any = None, **unknown: Any,
) -> NewJob:  # fmt: skip
    """The row with its own values and those that every row of one request shares. Raises TypeError for options that are none."""
    if unknown:
        raise TypeError(f"there is no such option: {', '.join(unknown)}")
    timeout = way.timeout or configuration().default_timeout if timeout is UNSET else timeout
    queue = way.queue if queue is None else queue
    if wrong := wrong_queue(queue):
        errors["queue"] = wrong
    if unique_key is not None and (wrong := wrong_text(unique_key)):
        errors["unique_key"] = wrong
    if max_retries is not None and not _is_whole(max_retries, 0, MAX_RETRIES):
        errors["max_retries"] = _("The number of retries is a whole number from 0 to %(most)d.") % {"most": MAX_RETRIES}
    if timeout is not None and not _is_whole(timeout, 1, MOST):
        errors["timeout"] = _("The time limit is a whole number of seconds from 1 to %(most)d.") % {"most": MOST}
    if created_by is not None and not is_account(created_by):
        errors["created_by"] = _("This is not an account.")
    return NewJob(
        task=task, queue=queue, run_at=_due(run_at, delay, errors), max_retries=max_retries, timeout=timeout, unique_key=unique_key,
        created_by_id=getattr(created_by, "pk", None), **own,
    )  # fmt: skip


def _way(task: Any, args: Any, kwargs: Any, errors: dict[str, str]) -> tuple[registry.Way, int]:
    """As for `.delay()`, and the priority if nobody asks for another; arguments that are wrong route nothing."""
    try:
        found = registry.way(None if errors else task, args or (), kwargs or {})
    except registry.WrongOption as error:
        errors[error.option] = str(error)
        found = registry.way(None, (), {})
    return found, DEFAULT if found.priority is None else found.priority


def validate(task: Any, *, args: Any = None, kwargs: Any = None, name: Any = "", priority: Any = UNSET, **options: Any) -> NewJob:
    """The row for a request. Raises InvalidJob with a message for each wrong field."""
    errors: dict[str, str] = {}
    task, found = _known(task, errors)
    args_text, kwargs_text = _call(found, args, kwargs, errors)
    way, usual = _way(found, args, kwargs, errors)
    priority = usual if priority is UNSET else priority
    _own(name, priority, errors)
    own = {"args": args_text, "kwargs": kwargs_text, "name": name, "priority": priority, "task_id": task_ids.make()}
    new = _new(errors, own, task, way, **options)
    if errors:
        raise InvalidJob(errors)
    return new


def enqueue(task: "str | Task[..., Any]", **options: Unpack[Options]) -> Job:
    """Accept one job: args, kwargs, name, priority (9 runs first), max_retries (None: for ever), run_at or delay (seconds),
    queue, unique_key (while a job with it has not ended, that job is returned), timeout (seconds; None: no limit), created_by.
    Queue, priority and timeout that are not given are those of the task and of `task_routes`, as for `.delay()`.

    Returns the row; it runs once the caller's transaction is committed. Raises InvalidJob.
    """
    return insert(validate(task, **options))


def _pair(call: Any) -> tuple[Any, Any]:
    """Its args and kwargs. Raises InvalidJob."""
    try:
        args, kwargs = call
    except (TypeError, ValueError) as error:
        raise InvalidJob({"args": _("Each call is a pair of its positional and its named arguments.")}) from error
    return args, kwargs


def _each(name: str, given: Any, count: int, *, alone: bool) -> list[Any]:
    """The values of each of so many calls. Raises ValueError where there are more or fewer, or one for all of them beside them."""
    if not alone:
        raise ValueError(f"{name}: each job has its own, so one for all of them would be lost")
    found = list(given)
    if len(found) != count:
        raise ValueError(f"{name}: {len(found)} for {count} calls")
    return found


def enqueue_many(
    task: "str | Task[..., Any]", calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]], *, names: Sequence[str] | None = None,
    priorities: Sequence[int] | None = None, name: str = "", priority: int = UNSET, **options: Unpack[SharedOptions],
) -> list[int]:  # fmt: skip
    """Accept many jobs of one task, all or none: calls are pairs of args and kwargs, names and priorities go with them one by one,
    the other options are those of enqueue() but unique_key; the first call is the one that is routed.

    Returns their numbers in order. Raises InvalidJob, and ValueError when names or priorities are more or fewer than the calls,
    or come beside the name or the priority of all of them.
    """
    calls = list(calls)
    errors: dict[str, str] = {}
    task, found = _known(task, errors)
    first_args, first_kwargs = _pair(calls[0]) if calls else ((), {})
    _call(found if calls else None, first_args, first_kwargs, errors)
    way, usual = _way(found, first_args, first_kwargs, errors)
    common = _new(errors, {}, task, way, **options)
    if common.unique_key is not None:
        errors["unique_key"] = _("Jobs that are created together cannot share a unique key.")
    if errors:
        raise InvalidJob(errors)
    all_alike, count = usual if priority is UNSET else priority, len(calls)
    each_name = repeat(name, count) if names is None else _each("names", names, count, alone=name == "")
    each_priority = repeat(all_alike, count) if priorities is None else _each("priorities", priorities, count, alone=priority is UNSET)

    def checked() -> Iterator[tuple[str, str, str, int]]:
        for call, own_name, own_priority in zip(calls, each_name, each_priority, strict=True):
            try:
                args, kwargs = call
            except (TypeError, ValueError):
                args, kwargs = _pair(call)  # which refuses it; to call this for each row would take longer
            args_text, kwargs_text = _call(found, args, kwargs, errors)
            _own(own_name, own_priority, errors)
            if errors:
                raise InvalidJob(errors)
            yield own_name, args_text, kwargs_text, own_priority

    return insert_many(common, checked(), count) if calls else []
