"""JSON values as texts that every encoding can carry, and back from texts that anyone may have written."""

import json
import re
from typing import Any, Final

DEEPEST: Final = 200  # levels: Python follows some hundreds more, but not below all that shows a page


def loads(text: str) -> Any:
    """The value of a JSON text. Raises ValueError also for what is nested deeper than DEEPEST, and for numbers of thousands of digits.

    >>> loads("[1, {}]")
    [1, {}]
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text.count("[") + text.count("{") > DEEPEST and is_deep(value):
        raise ValueError("nested too deeply")
    return value


# A string, with its closing quote in a group, or what stands between values; it ends before an escape that was cut.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*("?)|[\[\]{},:]', re.DOTALL)
_CLOSES: Final = {"[": "]", "{": "}"}


def beginning(text: str, least: int) -> Any:
    """The value of a JSON text whose end was cut off, as far as it goes; of a string that was cut its beginning, if that has at least
    so many characters. Raises ValueError as `loads` does.

    >>> beginning('[1, {"a": "x", "b": "long te', 4), beginning('[1, {"a": "x", "b": "lo', 4)
    ([1, {'a': 'x', 'b': 'long te'}], [1, {'a': 'x'}])
    >>> beginning('"long te', 4)
    'long te'
    """
    ends: list[str] = []
    place, more, before = 0, "", ""
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in _CLOSES:
            ends.append(_CLOSES[token])
            place, more = found.end(), "".join(reversed(ends))
        elif token in _CLOSES.values():
            if not ends or ends.pop() != token:
                break
        elif token == ",":
            place, more = found.start(), "".join(reversed(ends))
        elif token[0] == '"' and not found[1] and len(token) > least and _is_value(before, ends):
            place, more = found.end(), '"' + "".join(reversed(ends))
        before = token
    return loads(text[:place] + more)


def _is_value(before: str, ends: list[str]) -> bool:
    """Whether a string behind this token is a value, and no name."""
    return before in ("", "[", ":") or (before == "," and ends[-1:] == ["]"])


def is_deep(value: Any) -> bool:
    """Whether lists and objects stand more than DEEPEST levels within one another."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for one in level if isinstance(one, dict | list) for part in (one.values() if isinstance(one, dict) else one)]
    return any(isinstance(one, dict | list) for one in level)


def dumps(value: Any, **options: Any) -> str:
    """JSON with letters of all languages as they are; half a surrogate pair, which a plain INSERT may bring, stays an escape.

    >>> dumps({"name": "ليلى"}), dumps("\\ud800")
    ('{"name": "ليلى"}', '"\\\\ud800"')
    """
    return encodable(json.dumps(value, ensure_ascii=False, default=str, **options))


def encodable(text: str) -> str:
    """The text with each half of a surrogate pair written out."""
    return text.encode("utf-8", "backslashreplace").decode()
