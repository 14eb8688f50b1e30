"""Since when a part of the system does not answer: written by the leader, read by the pages."""

from datetime import datetime
from typing import Any, Final

from jobs.store import caller

REDIS: Final = "redis"
FRESH: Final = 30.0  # seconds: what nobody has seen for longer is not told, and a new outage begins anew


def note(cursor: Any, part: str, seconds: float) -> None:
    """The part has not answered for `seconds`; what an earlier leader noted of the same outage stands."""
    cursor.execute(
        """INSERT INTO jobs_outage AS o (part, since, seen_at)
           VALUES (%(part)s, clock_timestamp() - make_interval(secs => %(seconds)s), clock_timestamp())
           ON CONFLICT (part) DO UPDATE SET seen_at = excluded.seen_at, since = CASE
             WHEN o.seen_at < excluded.since - make_interval(secs => %(fresh)s) THEN excluded.since
             ELSE least(o.since, excluded.since) END""",
        {"part": part, "seconds": seconds, "fresh": FRESH},
    )


def clear(cursor: Any, part: str) -> None:
    """The part answers."""
    cursor.execute("DELETE FROM jobs_outage WHERE part = %s", [part])


def since(part: str) -> datetime | None:
    """Since when the part is away; None when no leader has seen it away lately."""
    with caller.cursor() as cursor:
        cursor.execute(
            "SELECT since FROM jobs_outage WHERE part = %s AND seen_at > clock_timestamp() - make_interval(secs => %s)", [part, FRESH]
        )
        row = cursor.fetchone()
    found: datetime | None = row[0] if row else None
    return found
