"""Numbers of rows, as people, addresses and programs give them."""

import operator
import re
from collections.abc import Iterable
from typing import Any, Final

LOWEST: Final = -(2**63)  # PostgreSQL gives numbers from 1 on; an INSERT may bring any other
HIGHEST: Final = 2**63 - 1
_NUMBER: Final = re.compile("-?[0-9]{1,19}")


def number_of(text: str) -> int | None:
    """The number that the text is; None for what no row can have.

    >>> number_of("12"), number_of("-5"), number_of("9" * 19), number_of("1.0")
    (12, -5, None, None)
    """
    found = int(text) if _NUMBER.fullmatch(text) else None
    return found if found is not None and LOWEST <= found <= HIGHEST else None


def numbers_of(ids: Iterable[Any]) -> list[int]:
    """The numbers that a caller has listed, each once; a number may be written as a text. Raises TypeError and ValueError for what is none.

    >>> numbers_of([3, "12", 3])
    [3, 12]
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):  # a text would be a list of its digits
        raise TypeError(f"ids are a list of numbers, not {ids!r:.100}")
    return list(dict.fromkeys(map(_row_number, ids)))


def possible(ids: Iterable[int]) -> list[int]:
    """Those that a row can have.

    >>> possible([3, 2**63])
    [3]
    """
    return [id for id in ids if LOWEST <= id <= HIGHEST]


def _row_number(id: Any) -> int:
    try:
        return int(id) if isinstance(id, str) else operator.index(id)
    except (TypeError, ValueError) as error:
        raise type(error)(f"ids are a list of numbers, and {id!r:.100} is none") from None
