"""Tests of one file that share a worker: to start one for each takes longer than they do."""

import pytest


def on(*slow: str) -> pytest.MarkDecorator:
    """With one gevent worker for all tests of the file, see `standing_worker`; by `make test-slow` with one of each of these pools too."""
    pools = ["gevent", *(pytest.param(pool, marks=pytest.mark.slow) for pool in slow)]
    return pytest.mark.parametrize("worker_of_module", pools, indirect=True)
