"""Rows become Celery messages, pushed in one pipeline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from jobs import masking
from jobs.celery_app import signing
from jobs.conf import configuration
from jobs.domain.priority import lane_key
from jobs.leader.window import Lane, Sent

_EMBED: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_LONGEST: Final = 200  # characters of argsrepr and kwargsrepr
_PLAIN: Final = json.dumps(_EMBED)
_SMALL: Final = 10_000  # characters of JSON worth parsing for a repr


@dataclass(frozen=True, slots=True)
class Row:
    """A due row as the pick returns it."""

    id: int
    task_id: str
    task: str
    args: str
    kwargs: str
    runs: int
    attempts: int
    max_retries: int | None
    timeout: int | None
    autoretry: bool
    options: str | None
    priority: int
    alone: bool = False  # no other job may run in its process

    @property
    def sent(self) -> Sent:
        """What the window remembers of its message."""
        return self.id, self.runs, self.priority


def key(lane: Lane) -> str:
    """The Redis list of a lane."""
    return configuration().key_prefix + lane_key(*lane)


def _repr(text: str, task: str = "") -> str:
    """What Flower and the logs show of the arguments; `task`: they are positional, and this is the task's name."""
    if len(text) > _SMALL:
        return masking.text(text[: 2 * _LONGEST])[:_LONGEST]
    try:
        value = json.loads(text)
        if task:
            value = masking.positional(task, value)
            return repr(tuple(value) if isinstance(value, list) else value)[:_LONGEST]
        return repr(masking.named(value))[:_LONGEST]
    except (ValueError, RecursionError):  # thousands of digits or levels
        return masking.text(text[: 2 * _LONGEST])[:_LONGEST]


def _part(options: dict[str, Any], name: str) -> dict[str, Any]:
    value = options.get(name)
    return value if isinstance(value, dict) else {}


def message(row: Row, lane: Lane) -> str:
    """The message, as kombu would have written it."""
    queue = lane[0]
    options = json.loads(row.options) if row.options else {}
    options = options if isinstance(options, dict) else {}
    embed = options.get("embed")
    body = f"[{row.args}, {row.kwargs}, {json.dumps(embed) if embed else _PLAIN}]"
    runs = row.runs + 1
    properties = {"correlation_id": row.task_id, "reply_to": "", "priority": 0 if options else row.priority} | _part(options, "properties")
    properties |= {
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue, "redelivered": row.runs > row.attempts},
        "body_encoding": None,
        "delivery_tag": f"{row.id}.{runs}",
    }
    headers = {
        "lang": "py",
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "timelimit": [None, None],
        "root_id": row.task_id,
        "parent_id": None,
        "argsrepr": _repr(row.args, row.task),
        "kwargsrepr": _repr(row.kwargs),
        "origin": "jobs",
        "ignore_result": None,  # as the task says
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        "headers": {},
    } | _part(options, "headers")
    headers |= {
        "id": row.task_id,
        "task": row.task,
        "retries": row.attempts,
        "job_id": row.id,
        "runs": runs,
        "job_queue": queue,
        "job_priority": row.priority,
        "max_retries": row.max_retries,
        "job_timeout": row.timeout,
        "autoretry": row.autoretry,
        "alone": row.alone,
    }
    headers["sig"] = signing.sign(headers, body)
    return json.dumps(
        {"body": body, "content-encoding": "utf-8", "content-type": "application/json", "headers": headers, "properties": properties}
    )


def _message(row: Row, lane: Lane) -> str:
    """One row must not stop the others: options that Python cannot read are left out, the worker sees to the rest."""
    try:
        return message(row, lane)
    except (ValueError, RecursionError):
        return message(replace(row, options=None), lane)


def push(client: Any, batch: Mapping[Lane, Sequence[Row]]) -> None:
    """Push all, the highest lane first."""
    pipeline = client.pipeline(transaction=False)
    for lane, rows in sorted(batch.items(), key=lambda item: item[0][1]):
        pipeline.lpush(key(lane), *[_message(row, lane) for row in rows])
    pipeline.execute()
