"""Options of a call as values of a row, refused with their name where they can be none."""

import math
from datetime import UTC, datetime
from typing import Any, Final

from celery.utils.time import maybe_iso8601

from jobs.domain import priority as priorities
from jobs.domain import statuses

_LONGEST: Final = 2**31 - 1  # seconds or retries that a row can hold; a limit beyond is none that anybody would live to see
_ENDLESS: Final = 1e15  # seconds: a timer takes no more
_MOST: Final = 255  # characters, as in AMQP: an index of the rows takes no text of any length


def short(option: str, text: str) -> str:
    """The same name of a queue or id. Raises ValueError where it is too long for a row."""
    if len(text) > _MOST:
        raise ValueError(f"{option} {text[:50]!r}… has {len(text)} characters: at most {_MOST}")
    return text


def moment(eta: Any) -> Any:
    """The time before which the job does not run, None for now; one without a zone is in UTC, as Celery's workers read it.

    Raises ValueError for a text that is no ISO time.
    """
    found = eta
    if isinstance(eta, str):
        try:
            found = maybe_iso8601(eta)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"eta {eta[:100]!r} is no time: a datetime or an ISO 8601 text is") from error
    if isinstance(found, datetime) and not statuses.is_due_time(found):
        return statuses.due_time(found)
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) and found.tzinfo is None else eta or None


def priority(asked: Any) -> int:
    """0 to 9; a number beyond is the nearest of them. Raises ValueError for what is no number."""
    try:
        return min(max(int(asked), priorities.LOWEST), priorities.HIGHEST)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"priority {asked!r} is no number from 0 to 9 (9 runs first)") from error


def retries(said: Any) -> int:
    """How many there were before. Raises ValueError for what is no number."""
    try:
        return int(said)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"retries {said!r} is no number") from error


def limits(pair: Any) -> tuple[float | None, float | None]:
    """The hard and the soft time limit of a message, in seconds; None for none, and for one without end. Raises ValueError for what is no
    number.
    """
    for name, limit in zip(("time_limit", "soft_time_limit"), pair or (), strict=False):
        if limit is not None and not (isinstance(limit, int | float) and limit > -math.inf):  # nor nan
            raise ValueError(f"{name} {limit!r} is no number of seconds")
    hard, soft = (None if limit is None or limit > _ENDLESS else limit for limit in pair or (None, None))
    return hard, soft


def seconds(limit: Any) -> int | None:
    """The limit after which the leader takes the job over, in whole seconds; None for none. Raises ValueError for what is no number."""
    try:
        found = float(limit or 0)
        return min(max(math.ceil(found), 1), _LONGEST) if found else None
    except OverflowError:  # without end
        return None
    except (ValueError, TypeError) as error:
        raise ValueError(f"timeout {limit!r} is no number of seconds") from error


def max_retries(said: Any) -> int | None:
    """The row's for what a task says, where Celery takes any number; None for no end. Raises ValueError for what is no number."""
    if said is None:
        return None
    try:
        found = max(float(said), 0.0)
        return None if math.isinf(found) else min(math.ceil(found), _LONGEST)
    except OverflowError:
        return None
    except (ValueError, TypeError) as error:
        raise ValueError(f"max_retries {said!r} is no number") from error
