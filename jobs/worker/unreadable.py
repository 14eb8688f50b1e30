"""Rows that no task can be called with, and tasks that read messages in their own way: buried at once, with the reason."""

import logging
from functools import partial
from typing import Any

import celery

from jobs.celery_app import messages, process_engine, unwritten
from jobs.domain import own_failures
from jobs.store import transitions
from jobs.store.engine import unless_locked
from jobs.store.transitions import Failure

logger = logging.getLogger("jobs.worker")


def problem(message: Any) -> str:
    """Why a task cannot be called with this message's body, in one sentence of `jobs.domain.own_failures`; "" when it can."""
    try:
        payload = message.payload
    except Exception as error:  # whatever a decoder meets in a row that anyone may have written
        return own_failures.UNREADABLE % {"error": error}
    if not isinstance(payload, list | tuple) or len(payload) != 3 or not _are_links(payload[2]):
        return own_failures.NO_OPTIONS
    if payload[0] == messages.TOO_LONG:
        return own_failures.TOO_LONG_FOR_REDIS
    if not isinstance(payload[0], list | tuple):
        return own_failures.NO_LIST
    if not isinstance(payload[1], dict):
        return own_failures.NO_NAMES
    return ""


def _are_links(embed: Any) -> bool:
    """Whether Celery can send what follows the task, if anything does: else it would say so after the task has run, with a traceback."""
    if not isinstance(embed, dict) or not isinstance(embed.get("chord") or {}, dict):
        return False
    each = [embed.get(name) or [] for name in ("callbacks", "errbacks", "chain")]
    return all(isinstance(links, list | tuple) and all(isinstance(link, dict | str) for link in links) for links in each)


def strategy(task: Any) -> str:
    """The same for a task that takes its messages in its own way (celery-batches): nobody could say when such a job has ended."""
    if task is None or task.Strategy == celery.Task.Strategy:
        return ""
    return own_failures.STRATEGY


def refuse(message: Any, reason: str) -> None:
    """Claim the job of a message that is ours, and bury it."""
    engine, task = process_engine.current(), str(message.headers.get("task"))
    run = process_engine.claim(message.headers)
    if run is None:
        return
    try:
        failure = Failure(error_class="UnreadableJob", message=reason)
        if engine.write(unwritten.or_left(unless_locked(partial(transitions.bury, run=run, failure=failure, task=task)))):
            logger.critical("job %s (%s) failed for good and is in the Dead Letter Queue: %s", run.id, task, reason)
    finally:
        engine.held.pop(run.id, None)
