"""Chords: each header task is counted in the transaction that writes its end; the last one sends the body in the same."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg2
from celery import states
from celery.canvas import maybe_signature
from celery.exceptions import ChordError
from celery.result import GroupResult, ResultSet, allow_join_result
from django.db import DatabaseError
from kombu.utils.json import loads

from jobs.celery_app import failures, sending, unsent
from jobs.celery_app.encoding import text
from jobs.domain import own_failures
from jobs.store import caller, canvas
from jobs.store.canvas import Part

logger = logging.getLogger("jobs.worker")


def part_of(backend: Any, request: Any, state: str, result: Any) -> Part | None:
    """What is counted; None for a task that is in no chord."""
    if not request.group or not request.id:
        return None
    return Part(
        chord=request.group, task_id=request.id, place=request.group_index, state=state,
        result=text(backend.encode_result(result, state)), failed=state in states.PROPAGATE_STATES,
    )  # fmt: skip


def ended(backend: Any, request: Any, state: str, result: Any) -> None:
    """Count a header task in the transaction that is written here, with the outcome of the task that runs, or now."""
    outcome = sending.outcome_of(backend.app)
    if sending.cursor_here() is None and outcome is not None:
        outcome.parts.append((request, state, result))
    elif sending.cursor_here() is not None:
        count(backend, sending.cursor_here(), [(request, state, result)])
    else:
        caller.whole(lambda cursor: _count_written(backend, cursor, [(request, state, result)]))


def _count_written(backend: Any, cursor: Any, entries: list[tuple[Any, str, Any]]) -> None:
    with sending.writing(cursor):
        count(backend, cursor, entries)


def count(backend: Any, cursor: Any, entries: list[tuple[Any, str, Any]]) -> None:
    """Count (request, state, result) of header tasks; send the bodies, or the errors, of the chords that are complete by it."""
    requests, parts = {}, []
    for request, state, result in entries:
        part = part_of(backend, request, state, result)
        if part is not None:
            requests[part.chord] = request
            parts += [replace(part, task_id=id) for id in unsent.last_ids(request) or [part.task_id]]
    if parts:
        for chord, failed in canvas.count(cursor, parts):
            _fire(backend, cursor, requests[chord], chord, failed)


def _fire(backend: Any, cursor: Any, request: Any, chord: str, failed: bool) -> None:
    callback = maybe_signature(request.chord, app=backend.app)
    try:
        values = _values(backend, cursor, chord)
    except (psycopg2.Error, DatabaseError):
        raise
    except Exception as error:  # a header task that failed, whatever it raised, or a saved group that cannot be read
        cause = failures.readable(error)
        told = cause if isinstance(cause, ChordError) else _chord_error(own_failures.NOT_JOINED % {"error": repr(cause)}, cause)
        if not failed:
            logger.exception("chord %s: its results cannot be joined", chord)
        _fail_body(backend, callback, told)
        return
    try:
        callback.delay(values)
    except (psycopg2.Error, DatabaseError):
        raise
    except Exception as error:  # the body cannot be sent: its errbacks hear of it, and its result is this error
        logger.exception("chord %s: its body cannot be sent", chord)
        _fail_body(backend, callback, ChordError(own_failures.NO_BODY % {"error": repr(error)}))
        return
    canvas.drop_parts(cursor, chord)


def _fail_body(backend: Any, body: Any, error: ChordError) -> None:
    """Celery's, which tells no chord that the body is a header task of, and of a body that is a chain fails the last link only.

    A single task with errbacks is left to it: the body of the chord around it has the same, and they are called once.
    """
    if body.get("subtask_type") or not body.options.get("link_error"):
        unsent.fail(backend, [body], error)
    backend.chord_error_from_stack(body, error)


def _values(backend: Any, cursor: Any, chord: str) -> list[Any]:
    """The results of the header. Raises ChordError for the first that failed."""
    header = GroupResult.restore(chord, backend=backend, app=backend.app)
    parts = canvas.parts(cursor, chord)
    if header is None:
        return [_value(backend, *part) for part in parts]
    header.on_ready()  # complete, whatever the rows of its own tasks say
    values = _shaped(header, {task_id: loads(result) for task_id, state, result in parts if state == states.SUCCESS})
    if values is None:
        with allow_join_result():
            values = header.join(timeout=backend.app.conf.result_chord_join_timeout, propagate=True)
    header.delete(backend=backend)
    return list(values)


def _shaped(header: ResultSet, known: Mapping[str, Any]) -> list[Any] | None:
    """The values in the header's shape; None where one of them is not known. Its jobs may be gone: it may have waited for months."""
    values: list[Any] = []
    for one in header.results:
        if isinstance(one, ResultSet):
            inner = _shaped(one, known)
            if inner is None:
                return None
            values.append(inner)
        elif one.id in known:
            values.append(known[one.id])
        else:
            return None
    return values


def _value(backend: Any, task_id: str, state: str, result: str) -> Any:
    value = loads(result)
    if state in states.PROPAGATE_STATES:
        error = failures.readable(backend.exception_to_python(value))
        raise _chord_error(own_failures.HEADER_FAILED % {"id": task_id, "error": repr(error)}, error)
    return value


def _chord_error(message: str, cause: Any) -> ChordError:
    error = ChordError(message)
    error.__cause__ = cause if isinstance(cause, BaseException) else None  # errbacks and bodies that are groups look at it
    return error
