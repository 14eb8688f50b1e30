"""The body of the comparison, on this engine."""

from celery import shared_task

from benchmarks import bodies


@shared_task(name="guard.noop", ignore_result=True)
def noop(total: int) -> None:
    """Nothing, counted."""
    bodies.count(total)
