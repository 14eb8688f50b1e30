"""When a failed job runs again."""

import random
from typing import Any, Final

JITTER: Final = 0.1
SPENT: Final = "retries_before"  # header with the retries that the caller says were spent before the job was made


def pause(failed: int, *, autoretry: bool, max_retries: int | None, backoff: float, maximum: float, rng: random.Random) -> float | None:
    """Seconds until the next run of a job whose run number `failed` has failed on any exception; None when there is none.

    >>> low = random.Random(); low.random = lambda: 0.0
    >>> [pause(n, autoretry=True, max_retries=2, backoff=1, maximum=600, rng=low) for n in (1, 2, 3)]
    [1.0, 2.0, None]
    """
    return delay(failed, backoff=backoff, maximum=maximum, rng=rng) if autoretry and can_retry(failed, max_retries) else None


def spent(headers: Any) -> int:
    """The retries that these headers of a message say were spent before; they count as if they were the job's.

    >>> spent({"retries_before": 3}), spent({"retries_before": None}), spent([])
    (3, 0, 0)
    """
    found = headers.get(SPENT) if isinstance(headers, dict) else None
    return found if isinstance(found, int) else 0


def delay(attempt: int, *, backoff: float, maximum: float, rng: random.Random) -> float:
    """Seconds to wait after the failed attempt number `attempt` (1 for the first).

    delay = min(maximum, backoff · 2ⁿ) × (1 … 1.1), n = attempt - 1: exponential backoff with a small jitter that
    spreads a burst, yet keeps every delay below the maximum greater than the one before it.

    >>> low = random.Random(); low.random = lambda: 0.0
    >>> [delay(n, backoff=1, maximum=600, rng=low) for n in (1, 2, 3, 4, 20)]
    [1.0, 2.0, 4.0, 8.0, 600.0]
    """
    # 2 ** 62 seconds is far above any maximum; the bound keeps the power from growing without end.
    exponent = min(max(attempt, 1) - 1, 62)
    return float(min(maximum, backoff * 2**exponent)) * (1 + JITTER * rng.random())


def can_retry(attempts: int, max_retries: int | None) -> bool:
    """Whether a job that has spent `attempts` runs may run again; `max_retries` None means for ever.

    >>> can_retry(1, 0), can_retry(3, 3), can_retry(4, 3), can_retry(99, None)
    (False, True, False, True)
    """
    return max_retries is None or attempts <= max_retries
