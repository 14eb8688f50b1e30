"""The body of the comparison, on stock Celery: no database, early acknowledgement, results ignored."""

import os

from celery import Celery

from benchmarks import bodies

app = Celery("stock", broker=os.environ["GUARD_BROKER"])
app.conf.update(worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
app.conf.result_backend = os.environ.get("GUARD_BACKEND")


@app.task(name="guard.noop", ignore_result=True)
def noop(total: int) -> None:
    """Nothing, counted."""
    bodies.count(total)


@app.task(name="guard.busy", ignore_result=True)
def busy(seconds: float) -> None:
    """A part of a second of processor time."""
    bodies.busy(seconds)


@app.task(name="guard.busy_and_commit", ignore_result=True)
def busy_and_commit(seconds: float) -> None:
    """The same, and the least that an engine which keeps its jobs in PostgreSQL has to do after it (benchmarks.bounds)."""
    bodies.busy(seconds)
    bodies.commit()


@app.task(name="guard.plus")
def plus(number: int) -> int:
    """One link of a chain, one header task of a chord."""
    return number + 1


@app.task(name="guard.total")
def total(numbers: list[int]) -> int:
    """The body of a chord."""
    return sum(numbers)
