"""Whether a failed run is followed by another one."""

import random
from typing import Any

from jobs.conf import configuration
from jobs.domain import retry


def pause(request: Any) -> float | None:
    """Seconds until the next run of a job that is retried on any exception; None when it is not, or its retries are used up."""
    failed = request.retries + 1
    if not getattr(request, "autoretry", False) or not retry.can_retry(failed, request.max_retries):
        return None
    limits = configuration()
    return retry.delay(failed, backoff=limits.retry_backoff, maximum=limits.retry_backoff_max, rng=random.Random())
