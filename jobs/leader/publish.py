"""Rows become Celery messages, pushed in one pipeline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from jobs.celery_app import messages, signing
from jobs.celery_app.messages import Row
from jobs.conf import configuration
from jobs.domain.priority import lane_key
from jobs.leader.window import Lane


def key(lane: Lane) -> str:
    """The Redis list of a lane."""
    return configuration().key_prefix + lane_key(*lane)


def message(row: Row, lane: Lane) -> str:
    """The message, as kombu would have written it. Raises ValueError and RecursionError for options that Python cannot read."""
    same = _same(row.options or "{}") if len(row.options or "") <= _SHORT else None
    return _put_together(row, lane[0]) if same is None else _filled_in(row, lane[0], *same)


def _put_together(row: Row, queue: str) -> str:
    options = _read(row.options or "{}")
    body = messages.body_of(row, options)
    headers, properties = messages.parts(row, queue, options)
    headers["sig"] = signing.sign(headers, body)
    return json.dumps(
        {"body": body, "content-encoding": "utf-8", "content-type": "application/json", "headers": headers, "properties": properties}
    )


def _read(options: str) -> dict[str, Any]:
    found = json.loads(options)
    return found if isinstance(found, dict) else {}


_SHORT: Final = 200  # characters of options worth remembering: where a `.delay()` came from, and the like
_VARYING: Final = {
    "argsrepr", "kwargsrepr", "root_id", *signing.SIGNED, messages.SPENT, "correlation_id", "priority", "delivery_info", "delivery_tag",
}  # fmt: skip
_TRUTH: Final = {True: "true", False: "false"}


@lru_cache(maxsize=256)
def _same(text: str) -> tuple[str, str, int | None] | None:
    """What does not vary in the headers and in the properties of all rows with these options, as JSON without its braces, and the
    message's priority, None: the row's. None where the options say more than such headers.
    """
    options = _read(text)
    headers = options.get("headers", {})
    if options.keys() - {"headers"} or not isinstance(headers, dict) or headers.keys() & _VARYING:
        return None
    parts = messages.parts(Row(1, "", "", "[]", "{}", 0, 0, None, None, False, None, 0), "", options)
    of_headers, of_properties = (json.dumps({key: value for key, value in part.items() if key not in _VARYING})[1:-1] for part in parts)
    return of_headers, of_properties, 0 if options else None


def _filled_in(row: Row, queue: str, headers: str, properties: str, priority: int | None) -> str:
    """The same message as that which is put together."""
    runs, id, task, to = row.runs + 1, quoted(row.task_id), quoted(row.task), quoted(queue)
    body = messages.body_of(row, {})
    signed = (
        row.id, runs, row.task_id, row.task, queue, row.priority, row.attempts, row.max_retries, row.timeout, row.autoretry, row.alone,
    )  # fmt: skip
    args, kwargs = messages.reprs(row)
    return (
        f'{{"body": {quoted(body)}, "content-encoding": "utf-8", "content-type": "application/json", "headers": {{{headers},'
        f' "id": {id}, "task": {task}, "root_id": {id}, "argsrepr": {quoted(args)}, "kwargsrepr": {quoted(kwargs)},'
        f' "retries": {row.attempts}, "job_id": {row.id}, "runs": {runs}, "job_queue": {to}, "job_priority": {row.priority},'
        f' "max_retries": {_number(row.max_retries)}, "job_timeout": {_number(row.timeout)}, "autoretry": {_TRUTH[row.autoretry]},'
        f' "alone": {_TRUTH[row.alone]}, "sig": "{signing.sign_values(signed, body)}"}}, "properties": {{{properties},'
        f' "correlation_id": {id}, "priority": {row.priority if priority is None else priority}, "delivery_tag": "{row.id}.{runs}",'
        f' "delivery_info": {{"exchange": "", "routing_key": {to}, "redelivered": {_TRUTH[row.runs > row.attempts]}}}}}}}'
    )


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _message(row: Row, lane: Lane) -> str:
    """One row must not stop the others: options that Python cannot read are left out, the worker sees to the rest."""
    try:
        return message(row, lane)
    except (ValueError, RecursionError):
        return message(replace(row, options=None), lane)


def pushes(batch: Mapping[Lane, Sequence[Row]]) -> list[tuple[Any, ...]]:
    """The commands that push all, the highest lane first."""
    ordered = sorted(batch.items(), key=lambda item: item[0][1])
    return [("LPUSH", key(lane), *[_message(row, lane) for row in rows]) for lane, rows in ordered]


def lengths(lanes: Sequence[Lane]) -> list[tuple[Any, ...]]:
    """The commands that ask how much lies in these lanes."""
    return [("LLEN", key(lane)) for lane in lanes]
