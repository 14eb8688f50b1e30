"""Messages carry an HMAC, so that a forged or altered one runs nothing."""

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from django.conf import settings


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"jobs.message\0" + secret.encode()).digest()


# What says which run of which job this is, what is run, and how: a header altered alone must not run another task.
_SIGNED = itemgetter(
    "job_id", "runs", "id", "task", "job_queue", "job_priority", "retries", "max_retries", "job_timeout", "autoretry", "alone"
)


def sign(headers: Mapping[str, Any], body: str) -> str:
    """The signature of one dispatched message. Raises KeyError when one of the headers is missing."""
    text = f"{_SIGNED(headers)}\0{body}".encode("utf-8", "surrogatepass")
    return hmac.digest(_key(settings.SECRET_KEY), text, "sha256").hex()


def verify(headers: Mapping[str, Any], body: str) -> bool:
    """Whether the message is one of ours, unaltered."""
    try:
        return hmac.compare_digest(sign(headers, body), str(headers["sig"]))
    except (KeyError, TypeError, ValueError):
        return False
