"""Whether a leader works is told by what PostgreSQL says of its session."""

from typing import Any

import pytest
from django.db import connection

from jobs.store import leadership, stats
from jobs.store.locks import LEADER

pytestmark = pytest.mark.django_db
OURS = "jobs leader 4711"


def said(seconds: float, state: str | None, name: str | None = OURS) -> None:
    """This session holds the leader's lock, and pg_stat_activity says of it that it has been in this state for so long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", LEADER)
        cursor.execute(
            "CREATE TEMP TABLE pg_stat_activity (pid int, application_name text, state text, state_change timestamptz) ON COMMIT DROP"
        )
        cursor.execute("SET LOCAL search_path = pg_temp, public, pg_catalog")
        cursor.execute(
            "INSERT INTO pg_stat_activity VALUES (pg_backend_pid(), %s, %s, transaction_timestamp() - make_interval(secs => %s))",
            [name, state, seconds if state else None],
        )


def stuck() -> int | None:
    with connection.cursor() as cursor:
        return leadership.stuck(cursor)


@pytest.mark.parametrize(("seconds", "state"), [(12, "idle"), (12, "idle in transaction"), (45, "active")])
def test_one_that_does_nothing_is_none(seconds: float, state: str) -> None:
    said(seconds, state)
    assert (stats.leader_lives(), stats.vitals(1).leader, stuck()) == (False, False, 4711)


@pytest.mark.parametrize(
    "about",
    [
        (0, "idle"), (1.1, "idle"), (5, "idle"), (25, "active"),
        (-600, "idle"),  # the database's clock was set back
        (600, "disabled"),  # track_activities is off
        (0, None, None),  # what a role may not see of another's session
        (600, "idle", "somebody else's"),
    ],
    ids=str,
)  # fmt: skip
def test_one_that_works_or_of_which_nobody_can_tell_lives(about: Any) -> None:
    said(*about)
    assert (stats.leader_lives(), stats.vitals(1).leader, stuck()) == (True, True, None)


def test_without_one_there_is_none() -> None:
    assert (stats.leader_lives(), stuck()) == (False, None)
