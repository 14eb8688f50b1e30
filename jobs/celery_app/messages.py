"""A row as the Celery message that runs it: the leader pushes its text, a worker that goes on with a chain's next link needs its parts."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from jobs import masking
from jobs.conf import configuration
from jobs.domain.retry import spent

# What `parts` says where a row does not: rows leave it out.
SAID_ANYWAY: Final = {"timelimit": [None, None], "replaced_task_nesting": 0, "stamps": {}}
_EMBED: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_LONGEST: Final = 200  # characters of argsrepr and kwargsrepr
_PLAIN: Final = json.dumps(_EMBED)
TOO_LONG: Final = "longer than Redis takes"  # in the place of the arguments of such a job
_UNREAD: Final = "…"  # which arguments of a text are secret, only a parser knows


@dataclass(frozen=True, slots=True)
class Row:
    """What a message says of a row that waits; its text columns are JSON."""

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
    due: float = field(default=0.0, compare=False)  # its run_at, in seconds since 1970; 0 is not known, and goes first
    alone: bool = False  # no other job may run in its process

    @property
    def sent(self) -> tuple[int, int, int]:
        """What the leader's window remembers of its message."""
        return self.id, self.runs, self.priority

    @property
    def place(self) -> tuple[float, int]:
        """Among those of its priority, in whatever queue: the smallest is the oldest."""
        return self.due, self.id


def _repr(text: str, task: str = "") -> str:
    """What Flower and the logs show of the arguments; `task`: they are positional, and this is the task's name."""
    if len(text) > configuration().max_argument_bytes:  # an INSERT may bring any number
        return _UNREAD
    try:
        value = json.loads(text)
        if task:
            value = masking.positional(task, value, longest=_LONGEST)
            return repr(tuple(value) if isinstance(value, list) else value)[:_LONGEST]
        return repr(masking.named(value, longest=_LONGEST))[:_LONGEST]
    except Exception:  # thousands of digits or levels; whatever a task's signature makes of being read. A message needs none of it
        return _UNREAD


def reprs(row: Row) -> tuple[str, str]:
    """The row's positional and named arguments for people, without secrets."""
    return _repr(row.args, row.task), "{}" if row.kwargs == "{}" else _repr(row.kwargs)


def _part(options: dict[str, Any], name: str) -> dict[str, Any]:
    value = options.get(name)
    return value if isinstance(value, dict) else {}


def parts(row: Row, queue: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The headers (without the signature) and the properties of the message for the row's next run; `options` is the column, parsed."""
    runs = row.runs + 1
    args, kwargs = reprs(row)
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
        "expires": None,
        "group": None,
        "group_index": None,
        "timelimit": [None, None],
        "root_id": row.task_id,
        "parent_id": None,
        "argsrepr": args,
        "kwargsrepr": kwargs,
        "origin": "jobs",
        "ignore_result": None,  # as the task says
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        "headers": {},
    } | _part(options, "headers")
    headers |= {
        "eta": None,  # the row's run_at says when: a worker would keep the message in its memory until then, and get another each second
        "id": row.task_id,
        "task": row.task,
        "retries": row.attempts + spent(headers),
        "job_id": row.id,
        "runs": runs,
        "job_queue": queue,
        "job_priority": row.priority,
        "max_retries": row.max_retries,
        "job_timeout": row.timeout,
        "autoretry": row.autoretry,
        "alone": row.alone,
    }
    return headers, properties


def embed_of(options: dict[str, Any]) -> dict[str, Any]:
    """The third part of a message's body."""
    return options.get("embed") or _EMBED


def body_of(row: Row, options: dict[str, Any]) -> str:
    """The body as JSON."""
    embed = options.get("embed")
    return f"[{row.args}, {row.kwargs}, {json.dumps(embed) if embed else _PLAIN}]"
