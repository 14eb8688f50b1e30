"""Messages carry an HMAC, so that a forged or altered one runs nothing."""

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from django.conf import settings


@lru_cache(maxsize=16)
def _keyed(secret: str) -> hmac.HMAC:
    """To be copied: OpenSSL looks up the algorithm and reads the key once."""
    return hmac.new(hashlib.sha256(b"jobs.message\0" + secret.encode()).digest(), digestmod="sha256")


# What says which run of which job this is, what is run, and how: a header altered alone must not run another task.
SIGNED: Final = (
    "job_id", "runs", "id", "task", "job_queue", "job_priority", "retries", "max_retries", "job_timeout", "autoretry", "alone"
)  # fmt: skip
_signed = itemgetter(*SIGNED)


def sign(headers: Mapping[str, Any], body: str) -> str:
    """The signature of one dispatched message. Raises KeyError when one of the headers is missing."""
    return sign_values(_signed(headers), body)


def sign_values(values: tuple[Any, ...], body: str, secret: str | None = None) -> str:
    """The same of what SIGNED names, in its order. `secret`: another one than SECRET_KEY."""
    mac = _keyed(secret or settings.SECRET_KEY).copy()
    mac.update(f"{values}\0{body}".encode("utf-8", "surrogatepass"))
    return mac.hexdigest()


def verify(headers: Mapping[str, Any], body: str) -> bool:
    """Whether the message is one of ours, unaltered. While SECRET_KEY is changed, a leader may sign with one of the fallbacks."""
    try:
        values, found = _signed(headers), str(headers["sig"])
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        return any(hmac.compare_digest(sign_values(values, body, key), found) for key in keys)
    except (KeyError, TypeError, ValueError):
        return False
