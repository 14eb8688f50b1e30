"""The coroutine of a task ends as a function would."""

import pytest

from jobs.integrations import coroutines


class _Falsy(Exception):
    def __len__(self) -> int:
        return 0


async def _raises() -> None:
    raise _Falsy("disk full")


def test_an_error_that_is_false_is_one() -> None:
    """The job of such a coroutine was completed."""
    with pytest.raises(_Falsy, match="disk full"):
        coroutines.run(_raises)
