"""JSON values as texts that every encoding can carry, and back from texts that anyone may have written."""

import json
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
