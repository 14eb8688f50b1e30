"""`celery inspect scheduled`: what is due later waits in PostgreSQL, not in a worker's memory."""

from typing import Any

from celery.worker.control import inspect_command
from kombu.utils.json import loads

from jobs.celery_app import process_engine
from jobs.store import stats

MOST = 1000  # rows an answer


@inspect_command(name="scheduled", alias="dump_schedule")
def scheduled(state: Any, **_: Any) -> list[dict[str, Any]]:
    """List of the tasks of this worker's queues that are due later, the next first."""
    queues = sorted(state.app.amqp.queues.consume_from)
    rows = process_engine.current().write(lambda cursor: stats.due_later(cursor, queues, MOST))
    return [
        {
            "eta": run_at.isoformat(),
            "priority": 6,  # of Celery's timer, the same for all
            "request": {
                "id": task_id, "name": task, "args": loads(args), "kwargs": loads(kwargs), "type": task, "hostname": state.hostname,
                "time_start": None, "acknowledged": False, "worker_pid": None,
                "delivery_info": {"exchange": "", "routing_key": queue, "priority": priority, "redelivered": False},
            },
        }
        for run_at, task_id, task, args, kwargs, queue, priority in rows
    ]  # fmt: skip
