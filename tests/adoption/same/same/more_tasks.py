"""Signals in the worker, a command of its own, and tasks found by another name."""

from celery import shared_task, signals
from celery.worker.control import control_command, inspect_command

from .notes import note


@shared_task
def found():
    return "found"


def _told(name, key):
    def receiver(sender=None, **given):
        id = key(given)
        if id:
            note(f"signals {id}", [name, sorted(set(given) - {"signal"}), getattr(sender, "name", None) or type(sender).__name__])

    receiver.__name__ = name
    return receiver


_BY_ID = lambda given: given.get("task_id")  # noqa: E731
_BY_REQUEST = lambda given: getattr(given.get("request"), "id", None)  # noqa: E731
for name, key in {
    "task_received": _BY_REQUEST,
    "task_prerun": _BY_ID,
    "task_postrun": _BY_ID,
    "task_retry": _BY_REQUEST,
    "task_failure": _BY_ID,
    "task_revoked": _BY_REQUEST,
    "task_internal_error": _BY_ID,
    "task_unknown": lambda given: given.get("id"),
}.items():
    getattr(signals, name).connect(_told(name, key), weak=False)


@signals.task_success.connect(weak=False)
def succeeded(sender=None, result=None, **given):
    note(f"signals {sender.request.id}", ["task_success", sorted([*(set(given) - {"signal"}), "result"]), sender.name])


@control_command(args=[("n", int)], signature="[N=1]")
def double(state, n=1):
    return {"ok": n * 2}


@inspect_command()
def whereabouts(state):
    return {"app": state.app.main, "hostname": "@" in state.consumer.hostname}


@signals.worker_process_init.connect
def started(**given):
    note("process_init", True)


@signals.worker_ready.connect
def ready(sender=None, **given):
    note("worker_ready", [type(sender).__name__, sender.hostname.startswith("celery@")])
