"""Numbers of rows, as people and addresses write them."""

import re
from typing import Final

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
