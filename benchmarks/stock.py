"""The body of the comparison, on stock Celery: no database, early acknowledgement, results ignored."""

import os

from celery import Celery

from benchmarks import bodies

app = Celery("stock", broker=os.environ["GUARD_BROKER"])
app.conf.update(worker_prefetch_multiplier=1, task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task(name="guard.noop")
def noop(total: int) -> None:
    """Nothing, counted."""
    bodies.count(total)
