"""Secrets are not shown: values under telling names, and what follows such a name in a text."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from jobs.domain.secret_names import assigned, has_any, is_harmless, is_secret
from jobs.domain.secret_shapes import MASK, masked_shapes
from jobs.domain.secret_values import Values
from jobs.domain.typed import text_of

__all__ = ["MASK", "is_secret", "masked", "masked_start", "masked_text"]
_OPTION: Final = re.compile(r"--?[\w.-]+")
_NAMES: Final = ("name", "key")  # of the pair {"name": …, "value": …}
_NONE: Final = ("None", "null")  # no value
_CODED: Final = re.compile(r"%(?:25)*+(?:3[ad]|20)\Z")
_AHEAD: Final = 20  # characters that are looked at for each that is shown: masks are shorter than what they hide


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
    text = masked_shapes(text, is_cut=is_cut)
    if not has_any(text, patterns):
        return text
    return "".join(_shown(text, assigned(tuple(patterns)), Values(text, is_cut=is_cut)))


def _shown(text: str, names: re.Pattern[str], values: Values) -> Iterator[str]:
    at = 0
    while found := names.search(text, at):
        begin, end = at, found.end()
        at = _end(found, values)
        yield text[begin:end]
        if at > end:
            yield text[end:at] if text[end:at] in _NONE else MASK
    yield text[at:]


def _end(found: re.Match[str], values: Values) -> int:
    """Where the value ends that such a name stands before; where it begins when it is no secret."""
    groups, before, at = found.groupdict(), found[0].lower(), found.end()
    if groups.get("tag"):
        return values.element_end(at, found["tag"])
    if groups.get("column") is None and is_harmless(found[0]):
        return at
    if "cookie" in before:
        return values.line_end(at)
    if "authorization" in before:
        return values.credentials_end(at)
    return values.coded_end(at) if _CODED.search(before) else values.end(at)


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
        named = _is_pair(value, patterns)
        return {
            _masked_name(key, patterns): MASK
            if item is not None and (is_secret(str(key), patterns) or (named and str(key).lower() == "value"))
            else _masked(item, patterns, longest, is_cut)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        are_pairs = all(isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str) for item in value)
        return [
            [_masked(item[0], patterns, longest, is_cut), MASK]
            if are_pairs and item[1] is not None and is_secret(item[0], patterns)
            else MASK
            if _is_value(before, item, patterns)
            else _masked(item, patterns, longest, is_cut)
            for before, item in zip(chain([None], value), value, strict=False)
        ]
    if not isinstance(value, str):
        return value
    return masked_text(value, patterns, is_cut=is_cut) if longest is None else masked_start(value, patterns, longest)


def _masked_name(name: Any, patterns: Sequence[str]) -> Any:
    return masked_text(name, patterns) if isinstance(name, str) else name


def _is_pair(value: dict[Any, Any], patterns: Sequence[str]) -> bool:
    """Whether its "value" belongs to its telling "name", as in the environment of a container."""
    return any(isinstance(key, str) and key.lower() in _NAMES and is_secret(str(name), patterns) for key, name in value.items())


def _is_value(before: Any, item: Any, patterns: Sequence[str]) -> bool:
    """Whether it stands behind a telling option, as in the words of a command."""
    if not isinstance(before, str) or before[:1] != "-" or item is None or (isinstance(item, str) and item[:1] == "-"):
        return False
    return _OPTION.fullmatch(before) is not None and is_secret(before, patterns)
