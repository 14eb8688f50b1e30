"""The verb that accepts a job: `enqueue()` validates and inserts, in the caller's transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import registry
from jobs.conf import configuration
from jobs.domain import priority as priorities
from jobs.models import Job
from jobs.store.insert import NewJob, insert, insert_many

UNSET: Final[Any] = object()
NAME_LIMIT: Final = 255
MAX_RETRIES: Final = 10_000
# Characters that turn the direction of what follows: they could make one job's name read as another's.
_OVERRIDES: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class InvalidJob(ValidationError):
    """The request cannot be accepted; `error_dict` says why for each field."""


def _text(value: Any, field: str, errors: dict[str, str], limit: int = NAME_LIMIT) -> None:
    if not isinstance(value, str):
        errors[field] = _("This must be text.")
    elif "\0" in value:
        errors[field] = _("Null characters are not allowed.")
    elif _OVERRIDES & set(value):
        errors[field] = _("Characters that override the text direction are not allowed.")
    elif len(value) > limit:
        errors[field] = _("At most %(limit)d characters; these are %(length)d.") % {"limit": limit, "length": len(value)}


def _whole(value: Any, field: str, errors: dict[str, str], lowest: int, highest: int, message: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        errors[field] = message


def _dump(value: Any, field: str, errors: dict[str, str]) -> str:
    try:
        text = json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        errors[field] = _("This cannot be stored as JSON: %(error)s") % {"error": error}
        return ""
    return text


def _check_call(task: str, args: Any, kwargs: Any, errors: dict[str, str]) -> None:
    found = registry.get(task) if isinstance(task, str) else None
    if found is None:
        errors["task"] = _("There is no task named “%(task)s”.") % {"task": str(task)[:200]}
    if isinstance(args, str | bytes) or not isinstance(args, Sequence):
        errors["args"] = _("The positional arguments must be a list.")
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        errors["kwargs"] = _("The named arguments must be an object with text keys.")
    if found is None or "args" in errors or "kwargs" in errors:
        return
    try:
        registry.signature(found).bind(*args, **kwargs)
    except TypeError as error:
        errors["kwargs"] = _("These arguments do not fit the task: %(error)s") % {"error": error}


def _due(run_at: Any, delay: Any, errors: dict[str, str]) -> Any:
    if delay is not None:
        if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= 315_360_000:
            errors["run_at"] = _("The delay must be a number of seconds, 0 or more.")
            return None
        return timezone.now() + timedelta(seconds=delay)
    if run_at is not None and not isinstance(run_at, datetime):
        errors["run_at"] = _("This is not a date and time.")
        return None
    return timezone.make_aware(run_at) if run_at is not None and timezone.is_naive(run_at) else run_at


def validate(
    task: Any, *, args: Any = None, kwargs: Any = None, name: str = "", priority: Any = priorities.DEFAULT, max_retries: Any = 3,
    run_at: Any = None, delay: Any = None, queue: Any = None, unique_key: Any = None, timeout: Any = UNSET, created_by: Any = None,
) -> NewJob:  # fmt: skip
    """The row for a request. Raises InvalidJob with a message for each wrong field."""
    errors: dict[str, str] = {}
    task = getattr(task, "name", task)
    args, kwargs = [] if args is None else args, {} if kwargs is None else kwargs
    timeout = configuration().default_timeout if timeout is UNSET else timeout
    queue = registry.current_app.conf.task_default_queue if queue is None else queue
    _check_call(task, args, kwargs, errors)
    _text(name, "name", errors)
    _text(queue, "queue", errors, 100)
    if not errors.get("queue") and not queue.strip():
        errors["queue"] = _("Name a queue.")
    if unique_key is not None:
        _text(unique_key, "unique_key", errors)
    _whole(priority, "priority", errors, 0, 9, _("The priority is a whole number from 0 to 9; 9 runs first."))
    if max_retries is not None:
        _whole(max_retries, "max_retries", errors, 0, MAX_RETRIES, _("The number of retries is a whole number, 0 or more."))
    if timeout is not None:
        _whole(timeout, "timeout", errors, 1, 2**31 - 1, _("The time limit is a whole number of seconds, 1 or more."))
    due = _due(run_at, delay, errors)
    args_text = _dump(list(args), "args", errors) if "args" not in errors else ""
    kwargs_text = _dump(dict(kwargs), "kwargs", errors) if "kwargs" not in errors else ""
    limit = configuration().max_argument_bytes
    if len(args_text) + len(kwargs_text) > limit:
        errors["kwargs"] = _("The arguments are larger than JOBS_MAX_ARGUMENT_BYTES (%(limit)d bytes).") % {"limit": limit}
    if errors:
        raise InvalidJob(errors)
    return NewJob(
        task=task, args=args_text, kwargs=kwargs_text, name=name, queue=queue, priority=priority, run_at=due, max_retries=max_retries,
        timeout=timeout, unique_key=unique_key, created_by_id=getattr(created_by, "pk", None),
    )  # fmt: skip


def enqueue(task: Any, **options: Any) -> Job:
    """Accept one job: args, kwargs, name, priority (9 runs first), max_retries (None: for ever), run_at or delay (seconds),
    queue, unique_key (while a job with it has not ended, that job is returned), timeout (seconds; None: no limit), created_by.

    Returns the row; it runs once the caller's transaction is committed. Raises InvalidJob.
    """
    return insert(validate(task, **options))


def enqueue_many(
    task: Any, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]], *, names: Sequence[str] | None = None,
    priorities: Sequence[int] | None = None, **options: Any,
) -> list[int]:  # fmt: skip
    """Accept many jobs of one task in one statement: all or none. Returns their numbers in order. Raises InvalidJob."""
    rows = []
    for place, (args, kwargs) in enumerate(calls):
        given = dict(options, args=args, kwargs=kwargs)
        if names is not None:
            given["name"] = names[place]
        if priorities is not None:
            given["priority"] = priorities[place]
        rows.append(validate(task, **given))
    return insert_many(rows)
