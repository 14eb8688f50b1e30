"""Secrets are not shown: values under telling names, and what follows such a name in a text."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from jobs.domain.typed import text_of

MASK: Final = "***"
_WORD: Final = r"[\w.-]"  # of what words with names in them are made
_VALUE: Final = (
    r"""(?:(?:bearer|basic|digest|token)\s+)?(?:\\"(?:(?!\\").)*(?:\\")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;)\]}&"']++)"""
)
_IN_ADDRESS: Final = re.compile(r"(://[^\s:/@\"']*+:)[^\s@/\"']++@")
_AHEAD: Final = 20  # characters that are looked at for each that is shown: masks are shorter than what they hide
_CUT_ADDRESS: Final = re.compile(r"(://[^\s:/@\"']*+:)[^\s/\"']++\Z")


@lru_cache(maxsize=8)
def _names(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(_any_of(patterns) or "(?!)", re.IGNORECASE)


def _any_of(patterns: Sequence[str]) -> str:
    return "|".join(map(re.escape, patterns))


@lru_cache(maxsize=8)
def _assigned(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """A telling name, what stands between it and its value, and the value. A word is searched once, from its beginning: tried again from
    each name within it, `tokentokentoken...` would take hours.
    """
    of_words = [pattern for pattern in patterns if re.fullmatch(f"{_WORD}*", pattern)]
    others = [pattern for pattern in patterns if pattern not in of_words]
    ways = [rf"(?<!{_WORD})(?={_WORD}*?(?:{_any_of(of_words)}))"] if of_words else []
    ways += [_any_of(others)] if others else []
    return re.compile(rf"((?:{'|'.join(ways) or '(?!)'}){_WORD}*+\\?[\"']?\s*+(?:=>|=|:)\s*+){_VALUE}", re.IGNORECASE)


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


def masked_start(text: str, patterns: Sequence[str], length: int) -> str:
    """The first `length` characters of the masked text, without a look at all of a long one.

    >>> masked_start("refused: token=1a2b" + "x" * 1_000_000, ["token"], 80), masked_start("password=" + "x" * 1_000_000, ["password"], 12)
    ('refused: token=***', 'password=***')
    """
    start = text[: _AHEAD * length]
    if len(start) < len(text):  # the name of a secret stands before it and stays; of a password in an address the @ may be cut off
        start = _CUT_ADDRESS.sub(rf"\g<1>{MASK}", start)
    return masked_text(start, patterns)[:length]


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
