"""Messages carry an HMAC, so that a forged or altered one runs nothing."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from django.conf import settings


@lru_cache(maxsize=16)
def _keyed(secret: str) -> hmac.HMAC:
    """To be copied: OpenSSL looks up the algorithm and reads the key once."""
    return hmac.new(hashlib.sha256(b"jobs.message\0" + secret.encode()).digest(), digestmod="sha256")


UNSIGNED: Final = ("sig", "redelivered")  # the second is set by kombu where it puts a message back


def sign(headers: Mapping[str, Any], body: str) -> str:
    """The signature of one dispatched message: of its body and of all its headers, for any may say what is run, when and for whom."""
    return sign_text(_text_of(headers), body)


def sign_text(text: str, body: str, secret: str | None = None) -> str:
    """The same of what `names_of` and the values make. `secret`: another one than SECRET_KEY."""
    mac = _keyed(secret or settings.SECRET_KEY).copy()
    mac.update(f"{text}\0{body}".encode("utf-8", "surrogatepass"))
    return mac.hexdigest()


def _text_of(headers: Mapping[str, Any]) -> str:
    """Names and values in their order. `ascii` writes what JSON can hold alike in each version of Python, and faster than `json`."""
    signed = dict(headers)
    for name in UNSIGNED:
        signed.pop(name, None)
    return f"{names_of(signed)}\0{[*signed.values()]!a}"


def names_of(headers: Iterable[str]) -> str:
    """The names as one text that no others have."""
    names = list(headers)
    text = "\0".join(names)
    return text if text.count("\0") < len(names) else ascii(names)


def verify(headers: Mapping[str, Any], body: str) -> bool:
    """Whether the message is one of ours, unaltered. While SECRET_KEY is changed, a leader may sign with one of the fallbacks."""
    try:
        text, found = _text_of(headers), str(headers["sig"])
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        return any(hmac.compare_digest(sign_text(text, body, key), found) for key in keys)
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
