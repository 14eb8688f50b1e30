"""`celery inspect scheduled` and `query_task`: what is due later waits in PostgreSQL, not in a worker's memory."""

from typing import Any

from celery.utils.functional import maybe_list
from celery.worker import control
from celery.worker.control import inspect_command
from kombu.utils.json import loads

from jobs import masking
from jobs.celery_app import process_engine
from jobs.domain import readable
from jobs.store import queues

MOST = 1000  # rows an answer


@inspect_command(name="scheduled", alias="dump_schedule")
def scheduled(state: Any, **_: Any) -> list[dict[str, Any]]:
    """List of the tasks of this worker's queues that are due later, the next first."""
    # 6 is the priority of Celery's timer, the same for all
    return [{"eta": eta, "priority": 6, "request": request} for eta, request in _waiting(state)]


_in_memory = control.query_task


@inspect_command(name="query_task", variadic="ids", signature="[id1 [id2 [... [idN]]]]")
def query_task(state: Any, ids: Any, **_: Any) -> dict[str, Any]:
    """Query for task information by id."""
    wanted = [str(id) for id in maybe_list(ids) or []]
    waiting = {request["id"]: ("scheduled", request) for _eta, request in _waiting(state, wanted)}
    return waiting | _in_memory(state, wanted)


def _value(text: str) -> Any:
    """What a task would be given; the text itself where no task could be: anyone may have written the row."""
    try:
        return loads(text)
    except Exception:  # whatever a decoder meets
        return text


def _asked(priority: int, options: str | None) -> int:
    """The priority of the message that the job came from; 0 where that said none."""
    if options is None:
        return priority
    try:
        found = readable.loads(options)["properties"]["priority"]
    except (ValueError, LookupError, TypeError):
        return 0
    return found if isinstance(found, int) else 0


def _waiting(state: Any, ids: list[str] | None = None) -> list[tuple[str, dict[str, Any]]]:
    """When they are due and what Celery would tell of them, for the jobs of this worker's queues; `ids`: only those."""
    own = sorted(state.app.amqp.queues.consume_from)
    rows = process_engine.current().write(lambda cursor: queues.due_later(cursor, own, MOST, ids))
    return [
        (
            run_at.isoformat(),
            {
                "id": task_id, "name": task, "args": masking.positional(task, _value(args)), "kwargs": masking.named(_value(kwargs)),
                "type": task, "hostname": state.hostname, "time_start": None, "acknowledged": False, "worker_pid": None,
                "delivery_info": {"exchange": "", "routing_key": queue, "priority": _asked(priority, options), "redelivered": False},
            },
        )
        for run_at, task_id, task, args, kwargs, queue, priority, options in rows
    ]  # fmt: skip
