"""JSON values as texts that every encoding can carry."""

import json
from typing import Any


def dumps(value: Any, **options: Any) -> str:
    """JSON with letters of all languages as they are; half a surrogate pair, which a plain INSERT may bring, stays an escape.

    >>> dumps({"name": "ليلى"}), dumps("\\ud800")
    ('{"name": "ليلى"}', '"\\\\ud800"')
    """
    return encodable(json.dumps(value, ensure_ascii=False, default=str, **options))


def encodable(text: str) -> str:
    """The text with each half of a surrogate pair written out."""
    return text.encode("utf-8", "backslashreplace").decode()
