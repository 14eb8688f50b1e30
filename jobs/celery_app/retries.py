"""Whether a failed run is followed by another one."""

import random
from typing import Any

from jobs.conf import configuration
from jobs.domain import retry


def pause(request: Any) -> float | None:
    """Seconds until the next run of a job that is retried on any exception; None when it is not, or its retries are used up."""
    limits = configuration()
    return retry.pause(
        request.retries + 1, autoretry=bool(getattr(request, "autoretry", False)), max_retries=getattr(request, "max_retries", None),
        backoff=limits.retry_backoff, maximum=limits.retry_backoff_max, rng=random.Random(),
    )  # fmt: skip
