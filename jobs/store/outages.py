"""Since when a part of the system does not answer, or takes nothing: written by the leader, read by the pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jobs.store import caller

REDIS: Final = "redis"
REFUSING: Final = "redis: "  # it answers; what it says to a message stands behind
FRESH: Final = 30.0  # seconds: what nobody has seen for longer is not told, and a new outage begins anew
READ_ONLY: Final = "current_setting('transaction_read_only')::bool"


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


def clear(cursor: Any) -> None:
    """Redis answers, and takes messages."""
    cursor.execute("DELETE FROM jobs_outage WHERE part = %s OR starts_with(part, %s)", [REDIS, REFUSING])


def since(part: str) -> datetime | None:
    """Since when the part is away; None when no leader has seen it away lately."""
    with caller.cursor() as cursor:
        cursor.execute(
            "SELECT since FROM jobs_outage WHERE part = %s AND seen_at > clock_timestamp() - make_interval(secs => %s)", [part, FRESH]
        )
        row = cursor.fetchone()
    found: datetime | None = row[0] if row else None
    return found


def is_read_only() -> bool:
    """Whether PostgreSQL answers but takes no writes: a standby, or one whose disk somebody is looking after."""
    with caller.cursor() as cursor:
        cursor.execute(f"SELECT {READ_ONLY}")
        return bool(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Since when Redis has taken no messages although it answers, and what it says."""

    since: datetime
    reason: str


# One value, that a statement may ask for beside others; `refusal_of` reads it.
NEWEST_REFUSAL: Final = f"""SELECT ARRAY[extract(epoch FROM since)::text, part] FROM jobs_outage
 WHERE starts_with(part, '{REFUSING}') AND seen_at > clock_timestamp() - make_interval(secs => {FRESH}) ORDER BY seen_at DESC LIMIT 1"""


def refusal_of(found: Sequence[str] | None) -> Refusal | None:
    """None when no leader was refused lately."""
    return Refusal(since=datetime.fromtimestamp(float(found[0]), UTC), reason=found[1].removeprefix(REFUSING)) if found else None
