"""JOBS_ACCEPT_FOREIGN: a Celery message that another program put into one of our queues becomes a row; the row is what runs."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import psycopg2
from celery.utils.time import maybe_iso8601
from celery.worker.strategy import proto1_to_proto2
from kombu.exceptions import EncodeError

from jobs import given
from jobs.celery_app import encoding, process_engine
from jobs.conf import configuration
from jobs.domain import priority as priorities
from jobs.domain.complaint import Complaint, first_line
from jobs.domain.statuses import due_time
from jobs.store.engine import unless_locked, unless_refused
from jobs.store.insert import NewJob
from jobs.store.sent import insert_sent

logger = logging.getLogger("jobs.worker")
LONGEST_ID: Final = 255
_waits: Final = threading.BoundedSemaphore(4)  # for one each: a process that is killed has lost no more, and they keep no more sessions
_put_off: Final = Complaint(logger, "a message of another program cannot become a row yet")
# What the row says, and what only our own leader may say.
_DERIVED: Final = frozenset(
    (
        "lang", "task", "id", "retries", "eta", "argsrepr", "kwargsrepr", "sig", "runs", "max_retries", "autoretry", "alone",
        "job_id", "job_queue", "job_priority", "job_timeout",
    )
)  # fmt: skip


class Refused(ValueError):
    """The message cannot become a job."""


def take_in(app: Any, message: Any) -> bool:
    """Insert the row of a message. False, with a line in the log, when it is none that can be run here.

    The worker's loop waits neither for somebody who keeps a job of the same id locked nor for a trigger: a thread does, unless four do.
    """
    try:
        new = row(app, message)
    except ValueError as error:  # Refused, or an option of the task that is none
        _refuse(error)
        return False
    if not _write(new, lambda change: unless_refused(unless_locked(change), _put_off.say)):
        if _waits.acquire(blocking=False):
            threading.Thread(target=_wait, args=(new,), daemon=True, name="jobs-foreign").start()
        else:
            _insist(new)
    return True


def _write(new: NewJob, careful: Callable[[Callable[[Any], Any]], Callable[[Any], Any]] = lambda change: change) -> bool:
    """Insert it, and say so; False where a `careful` change was not made."""
    done = process_engine.current().write(careful(lambda cursor: (insert_sent(cursor, new),)))
    if done == (True,):
        logger.info("accepted task %s[%s] of another program", new.task, new.task_id)
    elif done:
        logger.warning("task %s[%s] of another program has not ended yet: it is not run twice", new.task, new.task_id)
    return bool(done)


def _wait(new: NewJob) -> None:
    try:
        _insist(new)
    finally:
        _waits.release()


def _insist(new: NewJob) -> None:
    """Until PostgreSQL takes it, or says that it never will."""
    try:
        try:
            _write(new)
        except psycopg2.IntegrityError:  # its unique_key was taken in this very moment: the next statement sees that
            _write(new)
    except psycopg2.Error as error:
        _refuse(error)


def _refuse(error: Exception) -> None:
    logger.error("refused a message of another program: %s", first_line(error)[:500])


def row(app: Any, message: Any) -> NewJob:
    """The row for a message of protocol 1 or 2. Raises Refused."""
    args, kwargs, embed, headers = _parts(message)
    name, task_id = headers.get("task"), headers.get("id")
    task = app.tasks.get(name) if isinstance(name, str) and not name.startswith("celery.") else None
    if task is None:
        raise Refused(f"the task {str(name)[:200]!r} is not registered here")
    if not isinstance(task_id, str) or not 0 < len(task_id) <= LONGEST_ID:
        raise Refused(f"task {name}: its id is no text of 1 to {LONGEST_ID} characters")
    if not isinstance(args, list | tuple) or not isinstance(kwargs, dict) or not isinstance(embed, dict):
        raise Refused(f"task {name}[{task_id}]: the body is not (list, object, object)")
    options: dict[str, Any] = {"headers": {key: value for key, value in headers.items() if value is not None and key not in _DERIVED}}
    if any(embed.values()):
        options["embed"] = embed
    return NewJob(
        task=task.name, task_id=_text(task_id), args=_json(list(args)), kwargs=_json(kwargs), options=_json(options),
        queue=_queue(app, message), priority=_priority(message), run_at=_moment(headers.get("eta")),
        max_retries=given.max_retries(task.max_retries), autoretry=configuration().autoretry,
        timeout=given.seconds(getattr(task, "timeout", None)),
    )  # fmt: skip


def _parts(message: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
    try:
        payload = message.decode()
        headers = dict(message.headers or {})
        if "task" in headers:
            args, kwargs, embed = payload
        else:
            (args, kwargs, embed), headers, *_ = proto1_to_proto2(message, payload)
    except Exception as error:  # whatever a decoder meets in what anybody may have sent
        raise Refused(f"it cannot be read: {type(error).__name__}: {error}") from error
    return args, kwargs, embed, headers


def _queue(app: Any, message: Any) -> str:
    named = str((message.delivery_info or {}).get("routing_key") or "")
    return named if named in app.amqp.queues.consume_from else str(app.conf.task_default_queue)


def _priority(message: Any) -> int:
    """The number as it was given, 9 first. None, and 0, which is how kombu writes none: the default."""
    given = (message.properties or {}).get("priority")
    if isinstance(given, bool) or not isinstance(given, int) or given == 0:
        return priorities.DEFAULT
    return min(max(given, priorities.LOWEST), priorities.HIGHEST)


def _moment(eta: Any) -> datetime | None:
    if eta is None:
        return None
    try:
        found = maybe_iso8601(eta)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Refused(f"its eta {str(eta)[:100]!r} is no time") from error
    if not isinstance(found, datetime):
        raise Refused(f"its eta {str(eta)[:100]!r} is no time")
    return due_time(found if found.tzinfo else found.replace(tzinfo=UTC))


def _json(value: Any) -> str:
    try:
        return _text(encoding.text(value))
    except EncodeError as error:
        raise Refused(f"it cannot be stored as JSON: {error}") from error


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"it cannot be stored as text: {error}") from error
    if "\0" in text:
        raise Refused("it has null characters")
    return text
