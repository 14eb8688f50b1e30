"""Values that JSON has no form for, as kombu writes them into a row: {"__type__": "decimal", "__value__": "1.10"}."""

from typing import Any, Final
from uuid import UUID

MARK: Final = '"__type__"'  # in a JSON text that may have such a value
UNREADABLE: Final = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)  # raised by kombu for what is no such value
_TEXTS: Final = frozenset(("datetime", "date", "time", "decimal", "bytes", "base64", "float"))


def text_of(value: dict[str, Any]) -> str | None:
    """What people read for such a value; None when the object is none that kombu writes.

    >>> text_of({"__type__": "uuid", "__value__": {"hex": "12345678123456781234567812345678"}}), text_of({"a": 1})
    ('12345678-1234-5678-1234-567812345678', None)
    """
    if len(value) != 2 or "__type__" not in value or "__value__" not in value:
        return None
    match value["__type__"], value["__value__"]:
        case "uuid", {"hex": str(hex)}:
            try:
                return str(UUID(hex))
            except ValueError:
                return None
        case str(kind), str(text) if kind in _TEXTS:
            return text
    return None


def plain(value: Any) -> Any:
    """A copy of a JSON value in which such values are texts.

    >>> plain({"price": [{"__type__": "decimal", "__value__": "1.10"}]})
    {'price': ['1.10']}
    """
    try:
        return _plain(value)
    except RecursionError:  # nested deeper than Python can follow
        return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        text = text_of(value)
        return {key: _plain(item) for key, item in value.items()} if text is None else text
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
