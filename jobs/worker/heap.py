"""What a process has loaded by its start stays until its end: the collector need not look through it again and again.

A full collection goes through every object that it knows, and no job moves meanwhile: 80 ms in a worker that has loaded little more
than Django and Celery (benchmarks/RESULTS.md).
"""

import gc


def freeze() -> None:
    """From now on only what is made after this is collected; what is garbage now goes first. A child that is forked from here on shares
    the memory of it all: a collection would write to each object.
    """
    gc.collect()
    gc.freeze()
