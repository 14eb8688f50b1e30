"""The greenlets that tasks run in, one each. What Celery's gevent pool links to the end of a greenlet costs a second one."""

from collections.abc import Callable
from typing import Any

import gevent
from celery.concurrency.base import apply_target
from greenlet import GreenletExit

from jobs.worker import stopping
from jobs.worker.admission import Admission


class TaskGreenlet(gevent.Greenlet):
    """The run of one task."""

    terminated = False  # from outside, not by its own body
    has_connections = has_caches = False  # of Django's, opened in it

    def terminate(self, signal: Any) -> None:
        """Nothing: Celery calls this after the pool's `terminate_job`."""


class Greenlets:
    """What runs now. No limit of their own: a few more than there are slots only wait for their commit."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.running: dict[int, TaskGreenlet] = {}

    def serve(self, pool: Any) -> None:
        """In place of the pool's own. Limits of time are those of `jobs.celery_app.limits`, which can be caught and settled."""
        pool._pool = self
        pool.on_apply, pool.terminate_job = self.apply, self.terminate_job

    def __len__(self) -> int:
        """The slots: what Celery before 5.7 counts as the pool's processes."""
        return self.admission.size

    def apply(
        self, target: Callable[..., Any], args: Any = (), kwargs: Any = None, callback: Any = None, accept_callback: Any = None, **_: Any
    ) -> TaskGreenlet:
        """Start one; it has a slot until its completion is queued, or until it ends."""
        greenlet = TaskGreenlet(_run, target, args, kwargs, callback, accept_callback)
        self.running[id(greenlet)] = greenlet
        self.admission.holders.add(greenlet)
        greenlet.rawlink(self._ended)
        greenlet.start()
        return greenlet

    def _ended(self, greenlet: TaskGreenlet) -> None:
        """However it did, and if it never began."""
        del self.running[id(greenlet)]
        self.admission.leave(greenlet)

    def terminate_job(self, pid: int, signal: Any = None) -> None:
        """Kill the greenlet with this id, if it still runs."""
        greenlet = self.running.get(pid)
        if greenlet is not None:
            greenlet.terminated = True
            greenlet.kill()

    def join(self) -> None:
        """Until all have ended; called when the pool stops, and by the handler of SIGQUIT, in which nothing may wait."""
        if not stopping.is_cold():
            gevent.joinall(list(self.running.values()))


def _run(target: Callable[..., Any], args: Any, kwargs: Any, callback: Any, accept_callback: Any) -> None:
    apply_target(_killable, (target, args, kwargs or {}), None, callback, accept_callback, pid=id(gevent.getcurrent()))


def _killable(target: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """As the pool has it: one that is killed has failed in nothing that Celery would have to tell."""
    try:
        return target(*args, **kwargs)
    except GreenletExit:
        return False, None, None
