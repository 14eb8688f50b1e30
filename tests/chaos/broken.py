"""One rule broken at a time, in a worker of a run; the verdict must see it."""

from typing import Any


def rescue() -> None:
    """Jobs of dead workers are left alone."""
    from jobs.leader.rescue import Rescue

    Rescue._lost = lambda *_: False  # type: ignore[method-assign]


def claim() -> None:
    """A claim takes the job whatever became of it meanwhile."""
    from jobs.worker import flush

    guard = "j.status = 'pending' AND j.runs = g.run - 1 AND j.run_at <= statement_timestamp()"
    assert flush.PREPARE.count(guard) == 2
    flush.PREPARE = flush.PREPARE.replace(guard, "true")


def resync() -> None:
    """The leader never reads Redis back."""
    from jobs.leader.dispatch import Leader

    Leader.resync = lambda self: None  # type: ignore[method-assign]


def delay() -> None:
    """`.delay()` returns, and its INSERT is committed some time later."""
    import threading

    from django.db import connections

    from jobs.celery_app import sending

    real = sending.insert_call

    def insert_call(new: Any, *, fresh: bool) -> None:
        def insert() -> None:
            real(new, fresh=fresh)
            connections.close_all()

        threading.Timer(0.5, insert).start()

    sending.insert_call = insert_call
