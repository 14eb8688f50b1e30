"""Celery's request for a message; where tasks run in this process, with the arguments that were read when the message came."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import celery.worker.request
from billiard.exceptions import TimeLimitExceeded
from celery.exceptions import InvalidTaskError
from celery.utils.functional import LRUCache
from celery.worker import state
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.utils.imports import symbol_by_name

from jobs import given, masking
from jobs.celery_app import limits, process_engine, settle
from jobs.models.audit import Verb
from jobs.store import audit
from jobs.store.transitions import Run

_run_again: LRUCache = LRUCache(limit=10_000)  # task_id: the record of the act for which an earlier revocation was forgotten here

_TOLD = ("exception", "traceback", "result")  # of a task, in its events


class Request(celery.worker.request.Request):
    """Celery hands the text of the message to its pool, which may be another process, and reads it there again."""

    def __init__(self, message: Any, *args: Any, decoded: bool = False, **options: Any) -> None:
        if process_engine.is_green() and not decoded:
            options["body"], decoded = message.payload, True
        try:
            super().__init__(message, *args, decoded=decoded, **options)
            given.limits(self.time_limits)
            _ = self.stamps
            if not isinstance(self.name, str):
                raise TypeError(f"shadow {self.name!r:.50} is no text")
        except (InvalidTaskError, DecodeError, ContentDisallowed):
            raise
        except Exception as error:  # whatever Celery meets in headers that anybody may have inserted: out of here it would end the worker
            raise InvalidTaskError(f"{type(error).__name__}: {error}") from error

    def acknowledge(self) -> None:
        """A message that a green worker has popped is gone from Redis; elsewhere Celery's way leads to the same."""
        if process_engine.is_green():
            self.acknowledged = True
        else:
            super().acknowledge()

    def send_event(self, type: str, **fields: Any) -> None:
        """Nothing while the events of tasks are off; Celery asks after it has put the event together."""
        groups = getattr(self._eventer, "groups", None)
        if not groups or "task" in groups:
            super().send_event(type, **fields | {name: masking.text(str(fields[name])) for name in _TOLD if fields.get(name) is not None})

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What `celery inspect` tells: the arguments with their names and in their order, without secrets."""
        found: dict[str, Any] = super().info(safe=safe)
        if not safe:
            found |= {"args": masking.positional(self.name, self.args), "kwargs": masking.named(self.kwargs)}
        return found

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Celery's; in a green worker the run itself writes that it has failed."""
        if process_engine.is_green():
            celery.worker.request.error("Hard time limit (%ss) exceeded for %s[%s]", timeout, self.name, self.id)
        else:
            super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Celery's. What a hard limit has ended is told here in a green worker, and elsewhere by Celery's pool."""
        error = getattr(exc_info, "exception", None)
        if process_engine.is_green() and isinstance(error, TimeLimitExceeded):
            limit = limits.hard(self.task, self._context)
            if limit is not None and error.args == (limit,):  # not one that the body was given by another
                self.on_timeout(False, limit)
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def revoked(self) -> bool:
        """Celery's, but what was revoked before somebody had the job run again holds no more. Workers remember revocations for
        hours; the row knows of each that came since, as a stamp does not say when it was revoked.
        """
        is_named = self.id in state.revoked
        is_stamped = state.revoked_stamps and not state.revoked_stamps.keys().isdisjoint(self.stamped_headers)
        if (is_named or is_stamped) and not self._already_revoked and (record := self._record_of_act()):
            if is_named and _run_again.get(self.id, 0) < record:
                _run_again[self.id] = record
                state.revoked.discard(self.id)
            if self.id not in state.revoked:
                return self._is_late()
        return bool(super().revoked())

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        """Celery's, by whoever ends the job: one that was revoked before this message was met is announced with its row (`aftermath`)."""
        run = self._run()
        if terminated or run is None or settle.revoked(run, reason):
            super()._announce_revoked(reason, terminated, signum, expired)
        else:
            self._already_revoked = True
            state.task_ready(self)
            self.acknowledge()

    def _run(self) -> Run | None:
        job = self.request_dict.get("job_id")
        return None if job is None else Run(id=job, runs=self.request_dict["runs"])

    def _record_of_act(self) -> int:
        job = self.request_dict.get("job_id")
        return int(process_engine.current().write(lambda cursor: audit.last(cursor, job, Verb.REPROCESS), single=True))

    def _is_late(self) -> bool:
        if not self.maybe_expire():
            return False
        self._announce_revoked("expired", False, None, True)
        return True

    def maybe_expire(self) -> bool:
        """By the clock of the database, whatever this host's says."""
        if not self.expires:
            return False
        ahead = timedelta(seconds=process_engine.current().registration.skew)
        if datetime.now(self.expires.tzinfo and UTC) - ahead <= self.expires:
            return False
        state.revoked.add(self.id)
        return True


@cache
def joined(own: Any) -> type[Any]:
    """The class of a task's requests, or its name; one that derives from Celery's gets what ours has behind what it overrides."""
    found: type[Any] = symbol_by_name(own)
    if issubclass(Request, found):
        return Request
    if issubclass(found, Request):
        return found
    return type(found.__name__, (found, Request), {"__module__": found.__module__, "__doc__": found.__doc__})
