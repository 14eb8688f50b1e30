"""Secrets are not shown: values under telling names, and what follows such a name in a text."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from jobs.domain.secret_values import Values
from jobs.domain.typed import text_of

MASK: Final = "***"
_WORD: Final = r"[\w.-]"  # of what words with names in them are made
_BETWEEN: Final = r"""\\*+["']?\s*+(?:!?=++>?|:=?)\s*+"""  # a name and its value
_IN_PAIR: Final = (r"""(?:(?<=\(["'])|(?<=\(b["']))""", r"""["']\s*+,\s*+(?=b?["'])""")  # as libraries show headers: ("name", "value")
_OF_OPTION: Final = r"""(?:[ \t]++(?![-\s])|["']\s*+,\s*+(?=["']))"""  # --name and its value, also as a list of Python or JSON shows them
_OPTION: Final = re.compile(r"--?[\w.-]+")
# Up to the last @ before the path: a password may hold one.
_IN_ADDRESS: Final = re.compile(r"(://[^\s:/@\"']*+:)[^\s/\"']+@")
_KEY_IN_ADDRESS: Final = re.compile(r"(https?://)[^\s:/@\"'?#]++@", re.IGNORECASE)  # a name without a password is a key
_CUT_ADDRESS: Final = re.compile(r"(://[^\s:/@\"']*+:)[^\s/\"']++\Z")
_AHEAD: Final = 20  # characters that are looked at for each that is shown: masks are shorter than what they hide


@lru_cache(maxsize=8)
def _names(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(_any_of(patterns) or "(?!)", re.IGNORECASE)


def _any_of(patterns: Sequence[str]) -> str:
    return "|".join("".join("[-_]" if letter in "-_" else re.escape(letter) for letter in pattern) for pattern in patterns)


@lru_cache(maxsize=8)
def _assigned(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """A telling name and what stands between it and its value. A word is searched once, from its beginning: tried again from each name
    within it, `tokentokentoken...` would take hours.
    """
    of_words = [pattern for pattern in patterns if re.fullmatch(f"{_WORD}*", pattern)]
    others = [pattern for pattern in patterns if pattern not in of_words]
    word = rf"(?={_WORD}*?(?:{_any_of(of_words)})){_WORD}*+"
    ways = [rf"(?<!{_WORD}){word}{_BETWEEN}", f"{_IN_PAIR[0]}{word}{_IN_PAIR[1]}"] if of_words else []
    ways += [rf"(?<!{_WORD})(?=--){word}{_OF_OPTION}"] if of_words else []
    ways += [f"(?:{_any_of(others)}){_WORD}*+{_BETWEEN}"] if others else []
    return re.compile("|".join(ways) or "(?!)", re.IGNORECASE)


def is_secret(name: str, patterns: Sequence[str]) -> bool:
    """Whether a value of this name is hidden; `-` and `_` are alike.

    >>> is_secret("X-Api-Key", ["api_key"]), is_secret("path", ["pass"]), is_secret("to", [])
    (True, False, False)
    """
    return _names(tuple(patterns)).search(name) is not None


def masked_text(text: str, patterns: Sequence[str], *, is_cut: bool = False) -> str:
    """The text without what follows a telling name, and without passwords in addresses. `is_cut`: it is the beginning of a longer one.

    >>> masked_text('login failed: password="a b", user=x', ["password"])
    'login failed: password=***, user=x'
    >>> masked_text("GET /?token=1a2b&page=3", ["token"]), masked_text("Authorization: Bearer 1a2b", ["authorization"])
    ('GET /?token=***&page=3', 'Authorization: ***')
    >>> masked_text("no route to postgres://jobs:s3cr@t@db/x", [])
    'no route to postgres://jobs:***@db/x'
    >>> masked_text("token=('x', 1), tokens: [b'y'], user=z", ["token"])
    'token=***, tokens: ***, user=z'
    """
    if "://" in text:
        text = _KEY_IN_ADDRESS.sub(rf"\g<1>{MASK}@", _IN_ADDRESS.sub(rf"\g<1>{MASK}@", text))
        if is_cut:  # the @ may come later
            text = _CUT_ADDRESS.sub(rf"\g<1>{MASK}", text)
    if _names(tuple(patterns)).search(text) is None:
        return text
    return "".join(_shown(text, _assigned(tuple(patterns)), Values(text, is_cut=is_cut)))


def _shown(text: str, assigned: re.Pattern[str], values: Values) -> Iterator[str]:
    at = 0
    while found := assigned.search(text, at):
        begin, end = at, found.end()
        at = values.credentials_end(end) if "authorization" in found[0].lower() else values.end(end)
        yield text[begin:end]
        if at > end:
            yield MASK
    yield text[at:]


def masked_start(text: str, patterns: Sequence[str], length: int) -> str:
    """The first `length` characters of the masked text, without a look at all of a long one.

    >>> masked_start("refused: token=1a2b" + "x" * 1_000_000, ["token"], 80), masked_start("password=" + "x" * 1_000_000, ["password"], 12)
    ('refused: token=***', 'password=***')
    """
    start = text[: _AHEAD * length]
    return masked_text(start, patterns, is_cut=len(start) < len(text))[:length]


def masked(value: Any, patterns: Sequence[str], *, longest: int | None = None, is_cut: bool = False) -> Any:
    """A copy of a JSON value in which everything under a telling name is hidden, however deep, and values of kombu's types are texts.
    `longest`: so many characters of each text are enough; `is_cut`: any may be the beginning of a longer one.

    >>> masked({"user": "x", "headers": [{"Authorization": "Basic eA=="}]}, ["authorization"])
    {'user': 'x', 'headers': [{'Authorization': '***'}]}
    """
    try:
        return _masked(value, patterns, longest, is_cut)
    except RecursionError:  # nested deeper than Python can follow: nothing of it is shown
        return MASK


def _masked(value: Any, patterns: Sequence[str], longest: int | None, is_cut: bool) -> Any:
    if isinstance(value, dict):
        if (text := text_of(value)) is not None:
            return _masked(text, patterns, longest, is_cut)
        return {
            key: MASK if is_secret(str(key), patterns) and item is not None else _masked(item, patterns, longest, is_cut)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            MASK if _is_value(before, item, patterns) else _masked(item, patterns, longest, is_cut)
            for before, item in zip(chain([None], value), value, strict=False)
        ]
    if not isinstance(value, str):
        return value
    return masked_text(value, patterns, is_cut=is_cut) if longest is None else masked_start(value, patterns, longest)


def _is_value(before: Any, item: Any, patterns: Sequence[str]) -> bool:
    """Whether it stands behind a telling option, as in the words of a command."""
    if not isinstance(before, str) or before[:1] != "-" or item is None or (isinstance(item, str) and item[:1] == "-"):
        return False
    return _OPTION.fullmatch(before) is not None and is_secret(before, patterns)
