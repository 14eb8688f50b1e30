"""Celery ids of jobs: UUIDs that begin with the time.

A row's entries in the index of ids lie beside those of the jobs before it, whether it comes, is claimed or ends. With random ones each
touches a page of its own in a large table, and after a checkpoint PostgreSQL writes such a page whole into its log.
"""

import os
import time


def make() -> str:
    """A UUID of version 7 (RFC 9562) as text: 48 bits of milliseconds since 1970, 74 random ones."""
    random = bytearray(os.urandom(10))
    random[0] = random[0] & 0x0F | 0x70
    random[2] = random[2] & 0x3F | 0x80
    digits = f"{time.time_ns() // 1_000_000:012x}{random.hex()}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
