"""What happens to children of the prefork pool."""

from ..notes import noted
from ..running import program
from . import tasks

T = 60


@program
def children_that_are_too_big():
    """`worker_max_memory_per_child` lets each live for one task."""
    return len({tasks.child.delay().get(T) for _ in range(6)})


@program
def a_child_that_dies():
    result = tasks.dies_once.delay()
    return [result.get(T), noted(f"died {result.id}", 2), tasks.says.delay("on").get(T)[0]]
