"""What ends a run, and what ends more than that."""

import asyncio
import signal

import pytest
from celery.exceptions import WorkerShutdown
from gevent import GreenletExit, Timeout

from jobs.celery_app.body import is_from_outside


@pytest.mark.parametrize(
    ("error", "outside"),
    [
        (SystemExit(-1), False),
        (SystemExit(3), False),
        (SystemExit("bye"), False),
        (SystemExit(signal.SIGTERM - 256), True),  # as billiard ends a child that was told to
        (WorkerShutdown(0), True),
        (KeyboardInterrupt(), False),
        (asyncio.CancelledError(), False),
        (Timeout(1), False),
        (GreenletExit(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_only_what_comes_from_outside_ends_more_than_the_run(error: BaseException, outside: bool) -> None:
    assert is_from_outside(error) is outside
