"""The base of every task: what a project's code calls. How a run goes on in a worker is in `running`."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import celery
from celery.canvas import chunks
from celery.contrib.django.task import DjangoTask
from django.db import transaction

from jobs import given
from jobs.celery_app import hooks, plain
from jobs.conf import configuration


class JobTask(DjangoTask):
    """A Celery task with a row behind each of its runs. `timeout` is its time limit in seconds; None means none."""

    abstract = True
    Request = "jobs.celery_app.request:Request"
    timeout: int | None = None

    @classmethod
    def bind(cls, app: Any) -> Any:
        """As Celery does; whatever backend an option, a base or an annotation names, the end of a run is written to its row."""
        bound = super().bind(app)
        cls.backend = JobTask.backend  # type: ignore[method-assign]
        hooks.limit(cls)
        return bound

    @celery.Task.backend.getter
    def backend(self) -> Any:
        """The app's, also where the task was given one of its own."""
        return self._get_app().backend

    @property
    def job_id(self) -> int | None:
        """The number of the job that runs, None outside a job."""
        return getattr(self.request, "job_id", None)

    def progress(self, fraction: float, message: str = "") -> bool:
        """Report how far this run is (0 to 1). False when the run is no longer the job's."""
        outcome = _outcome_of(self.request)
        return outcome is not None and outcome.report(fraction, message)

    def apply_async(self, args: Any = None, kwargs: Any = None, /, *rest: Any, **options: Any) -> Any:
        """Celery's, with a row for the message. Returns an AsyncResult; the row is in the caller's transaction."""
        app = self._get_app()
        if rest or options or not plain.is_alike(app, self):
            if plain.is_mocked():
                return super().apply_async(*_given(args, kwargs, rest), **options)
            if "args" in options or "kwargs" in options:
                placed, options = _placed(*_given(args, kwargs, rest), **options)
                return JobTask.apply_async(self, *placed, **options)
            if not rest and options.get("task_id") is None:
                options["task_id"] = app.amqp.fresh_id()
            return super().apply_async(args, kwargs, *rest, **options)
        shape = plain.shape_of(app, self)
        if shape is None:
            result = super().apply_async(args, kwargs, task_id=app.amqp.fresh_id())
            new = app.amqp.accepted_here()
            if new is not None and new.task_id == result.id:
                plain.keep(app, self, new, result.ignored)
            return result
        if self.typing:
            self.__header__(*(args or ()), **(kwargs or {}))
        result = self.AsyncResult(app.amqp.accept_alike(shape.copies, args, kwargs))
        result.ignored = shape.ignored
        return result

    apply_async.__signature__ = inspect.signature(celery.Task.apply_async)  # type: ignore[attr-defined]  # it takes both by name too

    def start_strategy(self, app: Any, consumer: Any, **options: Any) -> Any:
        """Celery's; a worker makes its requests of a class that knows what ours does, also where a task names one of its own."""
        from jobs.celery_app.request import joined  # only a worker needs it

        self.Request = joined(self.Request)  # type: ignore[assignment]
        return super().start_strategy(app, consumer, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._claimed(super().__call__, args, kwargs)

    def _claimed(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """In a worker the run is claimed first, and its outcome written."""
        request = self.request
        if request.called_directly or request.is_eager or getattr(request, "job_id", None) is None:
            return call(*args, **kwargs)
        from jobs.celery_app import running  # with what it needs, a fifth of the time in which a web process makes its first job

        return running.claimed(self, request, call, args, kwargs)

    def retry(
        self, args: Any = None, kwargs: Any = None, exc: Any = None, throw: bool = True, eta: datetime | None = None,
        countdown: float | None = None, max_retries: int | None = None, **options: Any,
    ) -> Any:  # fmt: skip
        """Celery's retry. The row is the only retry authority: the message that Celery makes of it is only recorded."""
        request = self.request
        outcome = _outcome_of(request)
        if outcome is None:
            return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
        from jobs.celery_app import failures  # later, as `running`

        options.pop("task_id", None)  # one id is one row: under another the body would run twice as often
        limit = self._limit(request, outcome, max_retries)
        is_error = issubclass(type(exc), BaseException)  # one may be false, as an empty collection of errors is
        error = failures.given(exc if is_error else exc or sys.exc_info()[1])
        outcome.retrying = True
        try:
            planned = super().retry(args, kwargs, error if is_error else exc, False, eta, countdown, limit, **options)
        finally:
            outcome.retrying = False
        pause = self.default_retry_delay if eta is None and countdown is None else countdown or 0
        outcome.retry = {
            "error": error, "traceback": getattr(error, "__traceback__", None), "delay": max(float(pause), 0.0),
            "run_at": given.moment(eta), "new": outcome.next,
        }  # fmt: skip
        if outcome.next is not None and "time_limit" not in options:  # the job's own stays, which may not be its task's
            outcome.retry["new"] = replace(outcome.next, timeout=request.job_timeout)
        if throw:
            raise planned
        return planned

    def add_trail(self, result: Any) -> Any:
        """Celery's, but the next attempt is this job, and no child of its own."""
        outcome = _outcome_of(self.request)
        return result if outcome is not None and outcome.retrying else super().add_trail(result)

    def _limit(self, request: Any, outcome: Any, asked: int | None) -> int | None:
        """How many retries there are: a job made here says so itself, a job of Celery code leaves it to its task."""
        if getattr(request, "autoretry", False):
            return _FOR_EVER if request.max_retries is None else request.max_retries
        if asked is not None:
            outcome.limit = asked
        return outcome.limit

    @property
    def override_max_retries(self) -> int | None:
        """What `retry(max_retries=)` has set in this run; Celery keeps it on the task, where other greenlets would see it."""
        outcome = _outcome_of(self.request)
        if outcome is None or outcome.limit is None:
            raise AttributeError("override_max_retries")
        return outcome.limit

    @override_max_retries.setter
    def override_max_retries(self, value: int | None) -> None:
        outcome = _outcome_of(self.request)
        if outcome is not None and not getattr(self.request, "autoretry", False):
            outcome.limit = value

    @override_max_retries.deleter
    def override_max_retries(self) -> None:
        outcome = _outcome_of(self.request)
        if outcome is not None:
            outcome.limit = None

    def replace(self, sig: Any) -> Any:
        """Celery's; chunks come to a group, which alone has an end that this job can have."""
        return super().replace(sig.group() if isinstance(sig, chunks) else sig)

    def on_replace(self, sig: Any) -> Any:
        """The signature takes over this job's id; it is sent in the transaction in which this run ends."""
        outcome = _outcome_of(self.request)
        if outcome is not None and not self.request.is_eager:
            outcome.closing = outcome.replaced = True
        return super().on_replace(sig)

    def add_to_chord(self, sig: Any, lazy: bool = False) -> Any:
        """Celery's; the count and the task that is counted are one transaction."""
        if self.request.is_eager or lazy:
            return super().add_to_chord(sig, lazy)
        with transaction.atomic(using=configuration().database):
            return super().add_to_chord(sig)


def _given(args: Any, kwargs: Any, rest: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call has given by place."""
    if kwargs is not None or rest:
        return args, kwargs, *rest
    return () if args is None else (args,)


def _placed(args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, those of the task in their places."""
    return (args, kwargs, *rest), options


_FOR_EVER = sys.maxsize  # Celery reads None as "the default"


def _outcome_of(request: Any) -> Any:
    """The outcome of a run, None outside a worker; a mock in the request's place has every attribute, but was given none."""
    return getattr(request, "__dict__", {}).get("outcome")


class _First:
    """Before a class that may have a `__call__` of its own, so that the run is claimed ahead of it."""

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._claimed(super().__call__, args, kwargs)  # type: ignore[misc]


class _FirstToStart(_First):
    """The same for a class with a `before_start`."""

    def before_start(self: Any, task_id: str, args: Any, kwargs: Any) -> None:
        own = super().before_start  # type: ignore[misc]
        if getattr(self.request, "job_id", None) is None or self.request.is_eager:
            own(task_id, args, kwargs)
            return
        from jobs.celery_app import running

        running.begun(self, lambda: own(task_id, args, kwargs))


@cache
def claiming(base: type) -> type:
    """The class itself when it is a JobTask, else one that claims first and is a JobTask behind what it overrides."""
    if issubclass(JobTask, base):  # celery.Task by name
        return JobTask
    is_job, starts = issubclass(base, JobTask), base.before_start is not celery.Task.before_start  # type: ignore[attr-defined]
    if is_job and (issubclass(base, _First) or not (starts or "__call__" in _own(base))):
        return base
    first = _FirstToStart if starts else _First
    bases = (first, base) if is_job else (first, base, JobTask)
    return type(f"{base.__name__}First", bases, {"abstract": True, "__module__": base.__module__, "__doc__": base.__doc__})


def _own(base: type) -> set[str]:
    """The names that classes between this one and JobTask define."""
    return {name for each in base.__mro__[: base.__mro__.index(JobTask)] for name in vars(each)}
