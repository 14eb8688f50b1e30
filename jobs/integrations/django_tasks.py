"""The backend for `django.tasks` (Django 6) and its backport `django_tasks` (Django 5.2): each enqueued task is a job.

A task's priority, -100 to 100, becomes a job's, 0 to 9, in steps of twenty: -100 to -81 is 0, 0 to 19 is 5 (the default),
80 to 100 is 9. The queue `default` is Celery's default queue, which every worker serves.
"""

import builtins
import re
from collections.abc import Iterable
from importlib import import_module
from inspect import iscoroutinefunction, signature
from traceback import format_exception
from typing import Any, Final

import django
from celery import current_app, shared_task, signals
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.module_loading import import_string

from jobs.domain.errors import JobFailed, TaskExit
from jobs.domain.outcomes import Outcome
from jobs.domain.statuses import Status
from jobs.enqueueing import UNSET, enqueue
from jobs.integrations import coroutines
from jobs.models import Attempt, Job, Worker
from jobs.store import fresh


def _part(name: str) -> Any:
    return import_module(("django.tasks" if django.VERSION >= (6, 0) else "django_tasks") + name)


base, exceptions, told = _part(".base"), _part(".exceptions"), _part(".signals")

TASK: Final = "jobs.django_task"
# What the leader notes of a run that told nothing itself, and what stands for an error that would end the worker.
_OTHER_ERRORS: Final = {
    "WorkerLost": "billiard.exceptions.WorkerLostError",
    "TimeLimitExceeded": "billiard.exceptions.TimeLimitExceeded",
    "TaskExit": "builtins.SystemExit",
}
_NO_ERROR: Final = (Outcome.INTERRUPTED, Outcome.CANCELLED)  # of the task: its run was ended from outside
_STATUS: Final = {
    Status.PENDING: "READY",
    Status.RUNNING: "RUNNING",
    Status.COMPLETED: "SUCCESSFUL",
    Status.FAILED: "FAILED",
    Status.CANCELLED: "FAILED",
}


def job_priority(priority: int) -> int:
    """The job's priority (0 to 9, 9 runs first) for a task's (-100 to 100); it never falls while the task's grows.

    >>> [job_priority(n) for n in (-100, -81, -80, -1, 0, 19, 20, 79, 80, 100)]
    [0, 0, 1, 4, 5, 5, 6, 8, 9, 9]
    """
    return min((priority + 100) // 20, 9)


class Backend(_part(".backends.base").BaseTaskBackend):  # type: ignore[misc]
    """`TASKS = {"default": {"BACKEND": "jobs.integrations.django_tasks.Backend"}}`.

    OPTIONS: `max_retries` (0: a task that raises has failed, as the interface has it), `timeout` in seconds (None: no limit).
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Insert the job in the caller's transaction. Raises InvalidTask, or TypeError for what is not JSON."""
        self.validate_task(task)
        call = _json({"args": _by_name(task, list(args)), "kwargs": dict(kwargs)})
        job = enqueue(
            TASK,
            args=[task.module_path],
            kwargs=call | {"options": [task.priority, task.queue_name, self.alias, task.run_after and task.run_after.isoformat()]},
            name=task.module_path[:255],
            priority=job_priority(task.priority),
            queue=current_app.conf.task_default_queue if task.queue_name == base.DEFAULT_TASK_QUEUE_NAME else task.queue_name,
            run_at=task.run_after,
            max_retries=self.options.get("max_retries", 0),
            timeout=self.options.get("timeout", UNSET),
        )
        result = _result(job, task, ())
        told.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: Any) -> Any:
        """The job with this Celery id. Raises TaskResultDoesNotExist."""
        result = _stored(str(result_id)) if "\0" not in str(result_id) else None
        if result is None:
            raise exceptions.TaskResultDoesNotExist(result_id)
        return result


@shared_task(name=TASK, bind=True)
def run(self: Any, path: str, args: dict[str, Any] | list[Any], kwargs: dict[str, Any], options: list[Any]) -> Any:
    """Run the task function at this dotted path. `options`: the priority, queue_name, backend and run_after it was enqueued with."""
    for request in self.request_stack.stack:  # Celery may have put a copy on top
        request.shadow = path  # what logs call this run
    args = _in_order(args)
    task = import_string(path)
    if not isinstance(task, base.Task):
        raise TypeError(f"{path} is not a task of django.tasks")
    result = _stored(self.request.id)
    if result is not None:  # else the row was deleted meanwhile, or this is a call outside a job
        told.task_started.send(type(result.task.get_backend()), task_result=result)
    if task.takes_context:
        args = [base.TaskContext(task_result=result), *args]
    try:
        value = coroutines.run(task.func, *args, **kwargs) if iscoroutinefunction(task.func) else task.func(*args, **kwargs)
    except SystemExit as error:  # the task's end, not the worker's
        raise TaskExit(*error.args) from error
    return _json(value)


@signals.task_success.connect(weak=False)
@signals.task_failure.connect(weak=False)
def _finished(sender: Any = None, task_id: str | None = None, exception: Any = None, **_: Any) -> None:
    """Tell the end. Another receiver of a failure writes it, before or after this one is called."""
    if getattr(sender, "name", "") != TASK:
        return
    try:
        result = _stored(task_id or sender.request.id)
    except exceptions.TaskResultDoesNotExist:  # its function is gone, or was none
        return
    if result is not None and exception is not None and not result.is_finished:
        kind = type(exception)
        path = _OTHER_ERRORS.get(kind.__name__) or f"{kind.__module__}.{kind.__qualname__}"
        result.errors.append(base.TaskError(exception_class_path=path, traceback="".join(format_exception(exception))))
        object.__setattr__(result, "status", base.TaskResultStatus.FAILED)
        object.__setattr__(result, "finished_at", timezone.now())
    if result is not None and result.is_finished:
        told.task_finished.send(type(result.task.get_backend()), task_result=result)


def _json(value: Any) -> Any:
    return (_part(".utils") if django.VERSION < (6, 0) else import_module("django.utils.json")).normalize_json(value)


def _by_name(task: Any, args: list[Any]) -> dict[str, Any]:
    """Positional arguments in their order, under the names that the function gives them: whoever shows or finds them hides secrets by
    the name.
    """
    names: list[str] = []
    for parameter in list(signature(task.func).parameters.values())[int(task.takes_context) :]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}[{place}]" for place in range(len(args) - len(names))]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    names += map(str, range(len(names), len(args)))  # more than it takes: the run says so
    return dict(zip(names, args, strict=False))


def _in_order(args: dict[str, Any] | list[Any]) -> list[Any]:
    return list(args.values()) if isinstance(args, dict) else args


def _task_of(job: Job) -> Any:
    """The task as it was enqueued. Raises TaskResultDoesNotExist when its function is gone."""
    try:
        priority, queue_name, backend, run_after = job.kwargs["options"]
        path = job.args[0] if job.args else job.kwargs["path"]  # as the form has it
        task = import_string(path)
        if not isinstance(task, base.Task):
            raise TypeError(f"{path} is not a task")
        return task.using(priority=priority, queue_name=queue_name, backend=backend, run_after=run_after and parse_datetime(run_after))
    except (ImportError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise exceptions.TaskResultDoesNotExist(job.task_id) from error


def _stored(task_id: str) -> Any:
    """The result of the job with this Celery id; None when there is none."""
    name = Worker.objects.filter(id=OuterRef("worker")).values("name")
    job = fresh.rows(Job).filter(task_id=task_id, task=TASK).annotate(worker_name=Subquery(name)).first()
    if job is None:
        return None
    past = fresh.rows(Attempt).filter(job=job).order_by("run", "id") if job.runs else ()
    return _result(job, _task_of(job), past, job.worker_name)


def _result(job: Job, task: Any, attempts: Iterable[Attempt], worker: str | None = None) -> Any:
    past = list(attempts)
    status = Status(job.status)
    workers = [attempt.worker for attempt in past]
    if status in (Status.RUNNING, Status.COMPLETED):
        workers.append(worker or str(job.worker))
    result = base.TaskResult(
        task=task,
        id=job.task_id,
        status=base.TaskResultStatus[_STATUS[status]],
        enqueued_at=job.created_at,
        started_at=past[0].started_at if past else job.started_at,
        finished_at=job.finished_at,
        last_attempted_at=job.started_at,
        args=_in_order(job.kwargs["args"]),
        kwargs=job.kwargs["kwargs"],
        backend=task.backend,
        errors=[
            base.TaskError(exception_class_path=_path(attempt), traceback=_traceback(attempt))
            for attempt in past
            if attempt.outcome not in _NO_ERROR
        ],
        worker_ids=workers,
    )
    if status is Status.COMPLETED:
        object.__setattr__(result, "_return_value", job.result)
    return result


def _traceback(attempt: Attempt) -> str:
    """As the task would have ended by itself: what stands for SystemExit here is not shown."""
    return (
        attempt.traceback.replace(f"{TaskExit.__module__}.TaskExit:", "SystemExit:")
        if attempt.error_class == "TaskExit"
        else attempt.traceback
    )


def _path(attempt: Attempt) -> str:
    """The error's class with its module, as the last line of a traceback that names it has it; JobFailed for one of ours that is none."""
    if attempt.error_class in _OTHER_ERRORS:
        return _OTHER_ERRORS[attempt.error_class]
    found = re.findall(rf"^((?:\w+\.)*{re.escape(attempt.error_class)})(?::|$)", attempt.traceback, re.MULTILINE)
    name = found[-1] if found else attempt.error_class
    if "." in name:
        return name
    return f"builtins.{name}" if hasattr(builtins, name) else f"{JobFailed.__module__}.JobFailed"
