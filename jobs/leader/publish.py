"""Rows become Celery messages, pushed in one pipeline."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from jobs.celery_app import messages, signing
from jobs.celery_app.messages import Row
from jobs.conf import configuration
from jobs.domain.complaint import Complaint
from jobs.domain.priority import lane_key
from jobs.domain.retry import SPENT
from jobs.leader.window import Lane

logger = logging.getLogger(__name__)
PIECE: Final = 1_000_000  # characters of the messages that are pushed together, unless one has more
LONGEST: Final = 512 * 1024 * 1024  # of one message: Redis takes no longer value, and closes the connection that brings it
Whole = Callable[[Row], Row | None]
_unsendable: Final = Complaint(logger, "A job cannot be made a message of, and waits", logging.CRITICAL, exact=True)


def key(lane: Lane) -> str:
    """The Redis list of a lane."""
    return configuration().key_prefix + lane_key(*lane)


def message(row: Row, lane: Lane) -> str:
    """The message, as kombu would have written it, behind its place among others (`jobs.worker.oldest`).

    Raises ValueError and RecursionError for options that Python cannot read.
    """
    same = _same(row.options or "{}") if len(row.options or "") <= _SHORT else None
    return _put_together(row, lane[0]) if same is None else _filled_in(row, lane[0], same)


def _put_together(row: Row, queue: str) -> str:
    options = _read(row.options or "{}")
    body = messages.body_of(row, options)
    headers, properties = messages.parts(row, queue, options)
    headers["sig"] = signing.sign(headers, body)
    message = {"place": row.place, "body": body, "content-encoding": "utf-8", "content-type": "application/json"}
    return json.dumps(message | {"headers": headers, "properties": properties})


def _read(options: str) -> dict[str, Any]:
    found = json.loads(options)
    return found if isinstance(found, dict) else {}


_SHORT: Final = 200  # characters of options worth remembering: where a `.delay()` came from, and the like
# In the order of `_filled_in`, behind those that are the same.
_FILLED_IN: Final = (
    "id", "task", "root_id", "argsrepr", "kwargsrepr", "retries", "job_id", "runs", "job_queue", "job_priority", "max_retries",
    "job_timeout", "autoretry", "alone",
)  # fmt: skip
_VARYING: Final = {
    *_FILLED_IN, *signing.UNSIGNED, SPENT, "correlation_id", "priority", "delivery_info", "delivery_tag",
}  # fmt: skip
_TRUTH: Final = {True: "true", False: "false"}


@dataclass(frozen=True, slots=True)
class _Same:
    """What does not vary in the messages of all rows with the same options."""

    headers: str  # JSON without its braces
    names: str  # of all headers, as they are signed
    values: str  # of these headers, as they are signed, without the bracket at their end
    properties: str  # JSON without its braces
    priority: int | None  # the message's; None: the row's


@lru_cache(maxsize=256)
def _same(text: str) -> _Same | None:
    """None where the options say more than headers that do not vary."""
    options = _read(text)
    headers = options.get("headers", {})
    if options.keys() - {"headers"} or not isinstance(headers, dict) or headers.keys() & _VARYING:
        return None
    parts = messages.parts(Row(1, "", "", "[]", "{}", 0, 0, None, None, False, None, 0), "", options)
    same, properties = ({key: value for key, value in part.items() if key not in _VARYING} for part in parts)
    return _Same(
        headers=json.dumps(same)[1:-1], names=signing.names_of([*same, *_FILLED_IN]), values=ascii([*same.values()])[:-1],
        properties=json.dumps(properties)[1:-1], priority=0 if options else None,
    )  # fmt: skip


def _filled_in(row: Row, queue: str, same: _Same) -> str:
    """The same message as that which is put together."""
    runs, id, task, to = row.runs + 1, quoted(row.task_id), quoted(row.task), quoted(queue)
    body = messages.body_of(row, {})
    args, kwargs = messages.reprs(row)
    priority = row.priority if same.priority is None else same.priority
    signed = (
        f"{same.names}\0{same.values}, {row.task_id!a}, {row.task!a}, {row.task_id!a}, {args!a}, {kwargs!a}, {row.attempts}, {row.id},"
        f" {runs}, {queue!a}, {row.priority}, {row.max_retries}, {row.timeout}, {row.autoretry}, {row.alone}]"
    )
    return (
        f'{{"place": [{row.due}, {row.id}], "body": {quoted(body)}, "content-encoding": "utf-8", "content-type": "application/json",'
        f' "headers": {{{same.headers},'
        f' "id": {id}, "task": {task}, "root_id": {id}, "argsrepr": {quoted(args)}, "kwargsrepr": {quoted(kwargs)},'
        f' "retries": {row.attempts}, "job_id": {row.id}, "runs": {runs}, "job_queue": {to}, "job_priority": {row.priority},'
        f' "max_retries": {_number(row.max_retries)}, "job_timeout": {_number(row.timeout)}, "autoretry": {_TRUTH[row.autoretry]},'
        f' "alone": {_TRUTH[row.alone]}, "sig": "{signing.sign_text(signed, body)}"}}, "properties": {{{same.properties},'
        f' "correlation_id": {id}, "priority": {priority}, "delivery_tag": "{row.id}.{runs}",'
        f' "delivery_info": {{"exchange": "", "routing_key": {to}, "redelivered": {_TRUTH[row.runs > row.attempts]}}}}}}}'
    )


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _message(row: Row, lane: Lane) -> str | None:
    """One row must not stop the others: options that Python cannot read are left out, as is all that Redis does not take; the worker sees
    to the rest. None: it stays."""
    if len(row.args) + len(row.kwargs) > LONGEST:  # the message would be longer still
        return message(_cut(row), lane)
    try:
        try:
            text = message(row, lane)
        except (ValueError, RecursionError):
            text = message(replace(row, options=None), lane)
        return text if len(text) <= LONGEST else message(_cut(row), lane)
    except Exception as error:  # what it may be nobody knows yet
        _unsendable.say(ValueError(f"{row.id}: {type(error).__name__}: {error}"))
        return None


def _cut(row: Row) -> Row:
    """What tells the worker to bury the job."""
    return replace(row, args=json.dumps(messages.TOO_LONG), kwargs="{}", options=None)


def pieces(batch: Mapping[Lane, Sequence[Row]], whole: Whole) -> Iterator[tuple[dict[Lane, list[Row]], list[tuple[Any, ...]]]]:
    """What is pushed together, the highest lane first, in a lane the queue that has the oldest: rows, and the commands that push them.
    One piece at least, which may be empty. `whole` reads what was left of a row, None where it is not to be sent any more.

    Redis counts a request to its memory, and refuses as a whole one that it has no room for, though its lanes may be empty.
    """
    rows: dict[Lane, list[Row]] = {}
    texts: dict[Lane, list[str]] = {}
    size = 0
    for lane, given in sorted(batch.items(), key=lambda item: (item[0][1], item[1][0].place)):
        for row in given:
            read = whole(row)
            text = None if read is None else _message(read, lane)
            if text is None:
                continue
            if size and size + len(text) > PIECE:
                yield rows, _pushes(texts)
                rows, texts, size = {}, {}, 0
            rows.setdefault(lane, []).append(row)
            texts.setdefault(lane, []).append(text)
            size += len(text)
    yield rows, _pushes(texts)


def _pushes(texts: Mapping[Lane, Sequence[str]]) -> list[tuple[Any, ...]]:
    return [("LPUSH", key(lane), *messages) for lane, messages in texts.items()]


def lengths(lanes: Sequence[Lane]) -> list[tuple[Any, ...]]:
    """The commands that ask how much lies in these lanes."""
    return [("LLEN", key(lane)) for lane in lanes]
