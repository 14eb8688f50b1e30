"""Celery's result backend over the rows."""

import time
from typing import Any

from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import TimeoutError
from django.db import connections

from jobs.celery_app import settle
from jobs.conf import configuration

_STATES = {
    "pending": states.PENDING,
    "running": states.STARTED,
    "completed": states.SUCCESS,
    "failed": states.FAILURE,
    "cancelled": states.REVOKED,
}


class Backend(BaseBackend):
    """Writes nothing of its own: the row is the result."""

    persistent = True
    supports_autoexpire = True

    def mark_as_done(self, task_id: str, result: Any, request: Any = None, store_result: bool = True, state: str = states.SUCCESS) -> None:
        """Settle the run; Celery calls this after the callbacks, before the signals of success."""
        outcome = getattr(request, "outcome", None)
        if outcome is not None and not outcome.settled:
            settle.complete(outcome, result)

    def store_result(self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any) -> Any:
        """Nothing: `settle` has written the end, or will."""
        return result

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        with connections[configuration().database].cursor() as cursor:
            cursor.execute("SELECT status, attempts, result, last_error FROM jobs_job WHERE task_id = %s", [task_id])
            row = cursor.fetchone()
        if row is None:
            return {"status": states.PENDING, "result": None, "task_id": task_id}
        status, attempts, result, error = row
        state = states.RETRY if status == "pending" and attempts else _STATES[status]
        if status in ("failed", "cancelled"):
            name, _, message = error.partition(": ")
            result = {"exc_type": name or "TaskRevokedError", "exc_message": [message], "exc_module": "builtins"}
        return {"status": state, "result": result, "traceback": None, "children": [], "task_id": task_id}

    def decode_result(self, payload: Any) -> Any:
        return payload

    def wait_for(
        self, task_id: str, timeout: float | None = None, interval: float = 0.5, no_ack: bool = True, on_interval: Any = None
    ) -> dict[str, Any]:
        """Wait until the job has ended; at most `timeout` seconds (None: for ever)."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            meta = self.get_task_meta(task_id)
            if meta["status"] in states.READY_STATES:
                return meta
            if on_interval:
                on_interval()
            if end is not None and time.monotonic() > end:
                raise TimeoutError("The operation timed out.")
            time.sleep(min(interval, 0.02))
