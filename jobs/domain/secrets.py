"""Secrets are not shown: values under telling names, and what follows such a name in a text."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from jobs.domain.typed import text_of

MASK: Final = "***"
_VALUE: Final = (
    r"""(?:(?:bearer|basic|digest|token)\s+)?(?:\\"(?:(?!\\").)*(?:\\")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;)\]}&"']+)"""
)
_IN_ADDRESS: Final = re.compile(r"(://[^\s:/@\"']*:)[^\s@/\"']+@")


@lru_cache(maxsize=8)
def _names(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, patterns)) or "(?!)", re.IGNORECASE)


@lru_cache(maxsize=8)
def _assigned(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"((?:{_names(patterns).pattern})[\w.-]*\\?[\"']?\s*(?:=>|=|:)\s*){_VALUE}", re.IGNORECASE)


def is_secret(name: str, patterns: Sequence[str]) -> bool:
    """Whether a value of this name is hidden.

    >>> is_secret("Proxy-Authorization", ["authorization"]), is_secret("path", ["pass"]), is_secret("to", [])
    (True, False, False)
    """
    return _names(tuple(patterns)).search(name) is not None


def masked_text(text: str, patterns: Sequence[str]) -> str:
    """The text without what follows a telling name, and without passwords in addresses.

    >>> masked_text('login failed: password="a b", user=x', ["password"])
    'login failed: password=***, user=x'
    >>> masked_text("GET /?token=1a2b&page=3", ["token"]), masked_text("Authorization: Bearer 1a2b", ["authorization"])
    ('GET /?token=***&page=3', 'Authorization: ***')
    >>> masked_text("no route to postgres://jobs:s3cret@db/x", [])
    'no route to postgres://jobs:***@db/x'
    """
    if "://" in text:
        text = _IN_ADDRESS.sub(rf"\g<1>{MASK}@", text)
    if _names(tuple(patterns)).search(text) is None:
        return text
    return _assigned(tuple(patterns)).sub(rf"\g<1>{MASK}", text)


def masked(value: Any, patterns: Sequence[str]) -> Any:
    """A copy of a JSON value in which everything under a telling name is hidden, however deep, and values of kombu's types are texts.

    >>> masked({"user": "x", "headers": [{"Authorization": "Basic eA=="}]}, ["authorization"])
    {'user': 'x', 'headers': [{'Authorization': '***'}]}
    """
    try:
        return _masked(value, patterns)
    except RecursionError:  # nested deeper than Python can follow: nothing of it is shown
        return MASK


def _masked(value: Any, patterns: Sequence[str]) -> Any:
    if isinstance(value, dict):
        if (text := text_of(value)) is not None:
            return masked_text(text, patterns)
        return {key: MASK if is_secret(str(key), patterns) and item is not None else _masked(item, patterns) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, patterns) for item in value]
    return masked_text(value, patterns) if isinstance(value, str) else value
