"""The body of the comparison, on this engine."""

from celery import shared_task

from benchmarks import bodies


@shared_task(name="guard.noop", ignore_result=True)
def noop(total: int) -> None:
    """Nothing, counted."""
    bodies.count(total)


@shared_task(name="guard.busy", ignore_result=True)
def busy(seconds: float) -> None:
    """A part of a second of processor time."""
    bodies.busy(seconds)


@shared_task(name="guard.plus")
def plus(number: int) -> int:
    """One link of a chain, one header task of a chord."""
    return number + 1


@shared_task(name="guard.total")
def total(numbers: list[int]) -> int:
    """The body of a chord."""
    return sum(numbers)
