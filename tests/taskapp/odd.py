"""Tasks that end in ways few think of."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import celery
from celery import group, shared_task, signals
from celery.exceptions import Ignore, Reject, Retry
from celery.utils.log import get_task_logger
from django.contrib.auth import get_user_model
from django.db import connection

logger = get_task_logger(__name__)


@shared_task(name="t.exits", bind=True)
def exits(self: Any, kind: str) -> None:
    """Raises what is no Exception."""
    if kind == "timeout":
        from gevent import Timeout

        raise Timeout(1)
    raise {"exit": SystemExit("bye"), "interrupt": KeyboardInterrupt(), "cancelled": asyncio.CancelledError("loop")}[kind]


@shared_task(name="t.raises_retry", bind=True, max_retries=1, default_retry_delay=0.05)
def raises_retry(self: Any, when: str = "") -> int:
    """By hand, without self.retry()."""
    if self.request.retries == 0:
        raise Retry("later", when={"": None, "number": 0.05, "time": datetime.now(UTC) + timedelta(seconds=0.1)}[when])
    return int(self.request.retries)


@shared_task(name="t.always_raises_retry", max_retries=1, default_retry_delay=0.05)
def always_raises_retry() -> None:
    raise Retry("later", exc=ConnectionError("away"))


@shared_task(name="t.calls_as_function", bind=True, max_retries=1, default_retry_delay=0.05)
def calls_as_function(self: Any) -> int:
    """Calls a task as a function which asks to be run again."""
    return int(self.request.retries) if self.request.retries else asks_again()


@shared_task(name="t.asks_again", bind=True)
def asks_again(self: Any) -> int:
    raise self.retry(countdown=0.05)


@shared_task(name="t.swallows_its_retry", bind=True, default_retry_delay=0.05)
def swallows_its_retry(self: Any) -> int:
    """Its `except Exception` catches the Retry too."""
    if self.request.retries:
        return int(self.request.retries)
    try:
        raise self.retry(countdown=0.05)
    except Exception as error:
        raise ValueError("something went wrong") from error


class Picky(Exception):
    """Wants arguments."""

    def __init__(self, item: str, amount: int) -> None:
        super().__init__(item, amount)


@shared_task(name="t.retries_for", bind=True, max_retries=2)
def retries_for(self: Any, what: str) -> int:
    """Names what went wrong in every way there is."""
    if self.request.retries < 2:
        raise self.retry(exc={"class": ConnectionError, "picky": Picky, "text": "later", "number": 7}[what], countdown=0.05)
    return int(self.request.retries)


@shared_task(name="t.retries_as", bind=True, default_retry_delay=0.05)
def retries_as(self: Any, id: str) -> list[Any]:
    """Asks for its next attempt under another id."""
    if not self.request.retries:
        raise self.retry(task_id=id)
    return [self.request.id, self.request.retries]


@shared_task(name="t.catches_its_replacement", bind=True, max_retries=1)
def catches_its_replacement(self: Any) -> int:
    """Its `except Exception` catches the Ignore that ends a task which is replaced."""
    if self.request.retries:
        return int(self.request.retries)
    try:
        self.replace(group(told_of.si(), told_of.si()))
    except Exception as error:
        raise self.retry(countdown=0.05) from error
    return 0


class GateBase(celery.Task):
    """Decides before the start."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        how = args[0] if args else ""
        if how == "retry" and not self.request.retries:
            raise self.retry(countdown=0.05)
        if how == "ignore":
            raise Ignore
        if how == "reject":
            raise Reject("no entry", requeue=False)
        if how == "again" and self.request.delivery_info["redelivered"] is False:
            raise Reject(requeue=True)


@shared_task(name="t.behind_a_gate", bind=True, base=GateBase)
def behind_a_gate(self: Any, how: str = "") -> int:
    return int(self.request.retries)


@shared_task(name="t.rejects_for_good", bind=True)
def rejects_for_good(self: Any) -> None:
    raise Reject("no entry", requeue=False)


@shared_task(
    name="t.backs_off", autoretry_for=(ConnectionError,), retry_backoff=True, retry_backoff_max=2, retry_jitter=False, max_retries=3
)  # fmt: skip
def backs_off() -> None:
    raise ConnectionError("away")


@shared_task(name="t.backs_off_by_chance", autoretry_for=(ConnectionError,), retry_backoff=True, max_retries=1)
def backs_off_by_chance() -> None:
    raise ConnectionError("away")


@shared_task(name="t.note_late")
def note_late(request: Any, exc: BaseException, traceback: Any) -> None:
    """An errback that takes its time."""
    get_task_logger(__name__).warning("errback begins")
    time.sleep(30)


@shared_task(name="t.sets_errbacks", bind=True)
def sets_errbacks(self: Any, *names: str) -> None:
    """Links errbacks to itself while it runs."""
    self.request.errbacks = [dict(self.app.signature(name)) for name in names] or None
    raise ValueError("the task's own")


class BrokenHooks(celery.Task):
    """Whose hook raises while a failure of the body is told."""

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        raise KeyError("broken hook")


@shared_task(name="t.with_broken_hooks", base=BrokenHooks)
def with_broken_hooks() -> None:
    raise ValueError("the task's own")


class Unwritable(Exception):
    """Whose arguments cannot be asked for."""

    @property
    def args(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no arguments")


@shared_task(name="t.raises_unwritable", bind=True)
def raises_unwritable(self: Any, how: str = "") -> Any:
    """Ends with what JSON has no text for."""
    error = Unwritable("something")
    if how == "retry":
        raise self.retry(exc=error, countdown=0.05, max_retries=1)
    if how == "value":
        return object()
    raise error


@shared_task(name="t.breaks_the_writing", autoretry_for=(ConnectionError,), max_retries=1, default_retry_delay=0)
def breaks_the_writing() -> None:
    """From now on this process cannot put the JSON of any failure together."""
    from jobs.celery_app import chords, meta

    def text(value: Any) -> str:
        raise OverflowError("no JSON")

    meta.text = chords.text = text
    raise ConnectionError("away")


@shared_task(name="t.logs")
def logs(word: str) -> None:
    logger.info("says %s", word)
    print(f"prints {word}")


@shared_task(name="t.told_of")
def told_of(*_: Any) -> None:
    """Its revocation is told."""


@shared_task(name="t.told_of_long")
def told_of_long() -> None:
    """The same while it runs."""
    for _ in range(600):
        time.sleep(0.1)


@signals.task_revoked.connect(weak=False)
def _note_revoked(sender: Any = None, request: Any = None, **told: Any) -> None:
    if getattr(sender, "name", "").startswith("t.told_of"):
        name = f"revoked {request.id} {list(request.args or ())} {told['terminated']} {told['signum']} {told['expired']}"
        get_user_model().objects.create(username=name)


@shared_task(name="t.fails_in_arabic")
def fails_in_arabic() -> None:
    raise ValueError("فشل")


@shared_task(name="t.locks_itself", bind=True)
def locks_itself(self: Any, fails: bool = False) -> str:
    """Leaves a transaction open that has its own job locked."""
    connection.set_autocommit(False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM jobs_job WHERE id = %s FOR UPDATE", [self.job_id])
    if fails:
        raise ValueError("and fails")
    return "done"


class HangingHooks(celery.Task):
    """Whose hooks, those that a job names, never end."""

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        self._hang("before_start")

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._hang("on_failure")

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._hang("on_retry")

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self._hang("after_return")

    def _hang(self, name: str) -> None:
        while name in self.request.args:
            time.sleep(0.05)


@shared_task(name="t.with_hanging_hooks", base=HangingHooks, bind=True)
def with_hanging_hooks(self: Any, *hooks: str) -> None:
    if "on_retry" in hooks and not self.request.retries:
        raise self.retry(countdown=0)
    raise ValueError("the task's own")


@shared_task(name="t.loses_its_end")
def loses_its_end() -> None:
    """From now on this process cannot bury any job."""
    from jobs.celery_app import settle

    def bury(*_: Any, **__: Any) -> None:
        raise RuntimeError("nobody knows why")

    settle.bury = bury
    raise ConnectionError("away")
