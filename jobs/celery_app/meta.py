"""Celery's view of a job: the dictionary that a result backend answers with, derived from the row."""

from typing import Any, Final

from celery import states
from kombu.utils.json import loads

from jobs.celery_app.encoding import text
from jobs.domain.moments import aware
from jobs.store.results import Found

_STATES: Final = {
    "completed": states.SUCCESS,
    "failed": states.FAILURE,
    "cancelled": states.REVOKED,
}
FORGOTTEN: Final = text({"state": states.PENDING, "result": None})


def report(state: Any, encoded: Any, traceback: Any = None) -> str:
    """A state set by hand, as it is kept with the job."""
    kept = {"state": state, "result": encoded}
    if traceback:
        kept["traceback"] = str(traceback)
    return text(kept)


def failure(encoded: Any, traceback: str | None, children: Any) -> str:
    """What is kept of a failure: the exception as Celery encodes it, to come back as its own class."""
    kept = {"error": encoded, "traceback": traceback, "children": children or None}
    return text({key: value for key, value in kept.items() if value is not None})


def children(found: Any) -> str | None:
    """What is kept of the tasks that a run has sent; None when it has sent none."""
    return text({"children": found}) if found else None


def class_of(encoded: Any) -> str:
    """The name of an encoded exception's class."""
    return str(encoded.get("exc_type")) if isinstance(encoded, dict) else type(encoded).__name__


def message_of(encoded: Any) -> str:
    """The message of an encoded exception."""
    found = encoded.get("exc_message") if isinstance(encoded, dict) else encoded
    return ", ".join(str(part) for part in found) if isinstance(found, list | tuple) else str(found)


def of(task_id: str, found: Found | None, *, extended: bool, tracked: bool = False) -> dict[str, Any]:
    """The meta of an id; PENDING for one that nobody knows, as Celery has it. `tracked`: its task shows that it has started."""
    if found is None:
        return {"status": states.PENDING, "result": None}
    kept = _kept(found)
    state, result = _end(found, kept, tracked)
    meta = {
        "status": state,
        "result": result,
        "traceback": (found.traceback or kept.get("traceback")) if state not in (states.SUCCESS, states.STARTED) else None,
        "children": _children(state, kept),
        "date_done": aware(found.ended_at) if found.ended_at and state in states.READY_STATES else None,
        "task_id": task_id,
    }
    meta |= _from_headers(headers_of(found), extended)
    if extended and found.status is not None:
        meta |= {
            "name": found.task, "args": loads(found.args), "kwargs": loads(found.kwargs), "worker": found.worker,
            "retries": max(found.attempts - 1, 0), "queue": found.queue,
        }  # fmt: skip
    return meta


def headers_of(found: Found) -> dict[str, Any]:
    """What its message says beside the arguments."""
    return (loads(found.options).get("headers") or {}) if found.options else {}


def _kept(found: Found) -> dict[str, Any]:
    """What is kept of the last run: a plain completion and a cancel while the job waited leave what the failure before them has written."""
    kept: dict[str, Any] = loads(found.meta) if found.meta else {}
    return {} if found.status in ("completed", "cancelled") and _is_failure(kept) else kept


def _is_failure(kept: dict[str, Any]) -> bool:
    return "state" not in kept and not kept.keys().isdisjoint(("error", "traceback"))


def _children(state: str, kept: dict[str, Any]) -> list[Any] | None:
    """While a job runs or waits for its retry nobody decodes them."""
    if state in states.READY_STATES:
        return kept.get("children") or []
    return None if state == states.PENDING else []


def _from_headers(headers: dict[str, Any], extended: bool) -> dict[str, Any]:
    more = {name: headers[key] for name, key in (("parent_id", "parent_id"), ("group_id", "group")) if headers.get(key)}
    if extended and headers.get("stamps"):
        more |= {"stamped_headers": headers.get("stamped_headers")} | headers["stamps"]
    return more


def _end(found: Found, kept: dict[str, Any], tracked: bool) -> tuple[str, Any]:
    if found.status is None:
        return found.state or states.PENDING, loads(found.result) if found.result else None
    if found.status in ("pending", "running") and found.progress:
        told = loads(found.progress)
        if "state" in told:
            return told["state"], told["result"]
    if "state" in kept:
        return kept["state"], kept["result"]
    if found.status == "running" and tracked:
        return states.STARTED, {"pid": found.pid, "hostname": found.worker}
    if found.status in ("pending", "running"):
        failed = found.attempts - (found.status == "running")
        return (states.RETRY, kept.get("error")) if failed > 0 else (states.PENDING, None)
    if found.status == "completed":
        return (states.SUCCESS, loads(found.result)) if found.result is not None else (states.PENDING, None)
    return _STATES[found.status], kept.get("error") or _error(found)


def reason_of(last_error: str) -> str:
    """Why a job was cancelled, as Celery says it: without the class of what ended it."""
    name, _, message = last_error.partition(": ")
    return message or name or "revoked"


def _error(found: Found) -> dict[str, Any]:
    """An end that was not written by the task's own process has a message, but no exception."""
    name, _, message = found.last_error.partition(": ")
    if name == "UnknownTask":
        return {"exc_type": "NotRegistered", "exc_module": "celery.exceptions", "exc_message": [found.task]}
    if found.status == "cancelled":
        return {"exc_type": "TaskRevokedError", "exc_module": "celery.exceptions", "exc_message": [reason_of(found.last_error)]}
    return {"exc_type": name or "JobFailed", "exc_module": "jobs.domain.errors", "exc_message": [message]}
