"""Celery ids of jobs: UUIDs that begin with the time.

A row's entries in the index of ids lie beside those of the jobs before it, whether it comes, is claimed or ends. With random ones each
touches a page of its own in a large table, and after a checkpoint PostgreSQL writes such a page whole into its log.
"""

import os
import time
from typing import Final

_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def make() -> str:
    """A UUID of version 7 (RFC 9562) as text: 48 bits of milliseconds since 1970, 74 random ones."""
    return _put_together(_now(), os.urandom(10).hex())


def make_many(count: int) -> list[str]:
    """As many of them, of one millisecond."""
    now, digits = _now(), os.urandom(10 * count).hex()
    return [_put_together(now, digits[place : place + 20]) for place in range(0, 20 * count, 20)]


def _now() -> str:
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}"


def _put_together(now: str, random: str) -> str:
    return f"{now}-7{random[:3]}-{_VARIANT[random[3]]}{random[4:7]}-{random[7:19]}"
