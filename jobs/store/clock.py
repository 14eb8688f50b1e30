"""The one clock is PostgreSQL's; those of the hosts may be wrong."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from jobs.domain.statuses import LATEST
from jobs.store import caller

FRESH: Final = 30.0  # seconds that a difference of the clocks is taken for the present one
SLIGHT: Final = 1.0  # seconds that they may differ by and count as the same


@dataclass(slots=True)
class _Skew:
    """How far the database's clock is ahead of this host's, and when that was asked, by time.monotonic()."""

    seconds: float = 0.0
    asked: float = float("-inf")


_skew = _Skew()


def now(cursor: Any = None) -> datetime:
    """The time in the database, also within a transaction that began long ago; over the caller's connection without a cursor.

    With its zone, also where USE_TZ is off and Django's cursors leave that away.
    """
    if cursor is None:
        return caller.ask(now)
    cursor.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
    moment: datetime = cursor.fetchone()[0]
    return moment.replace(tzinfo=UTC)


def until(cursor: Any, moment: datetime) -> float:
    """Seconds from now until then, or the last moment at which a job may be due; 0 for the past."""
    cursor.execute("SELECT greatest(extract(epoch FROM least(%s::timestamptz, %s) - clock_timestamp()), 0)::float", [moment, LATEST])
    return float(cursor.fetchone()[0])


def reckoned() -> datetime:
    """About the time in the database, which is asked at most every FRESH seconds: for what people are shown and may fill in."""
    if time.monotonic() - _skew.asked > FRESH:
        _skew.asked = time.monotonic()
        # Where it cannot be asked, whatever the reason (it is away, the caller's transaction has failed, a test allows no queries),
        # what was known last is as good as can be had.
        with suppress(Exception):
            _skew.seconds = _measured()
    return known()


def known() -> datetime:
    """The same by what was found last, without a query.

    As Django reads times: without a zone, in TIME_ZONE, where USE_TZ is off.
    """
    moment = datetime.now(UTC) + timedelta(seconds=_skew.seconds)
    return moment if settings.USE_TZ else timezone.make_naive(moment, timezone.get_default_timezone())


def _measured() -> float:
    """Seconds that the database's clock is ahead by; 0 where that is not certain or slight."""
    before, begun = datetime.now(UTC), time.monotonic()
    there = now()
    way = (time.monotonic() - begun) / 2
    ahead = (there - before).total_seconds() - way
    return ahead if abs(ahead) > SLIGHT + way else 0.0
