"""Who holds the leader's lock, and whether that one works: PostgreSQL says since when a session does nothing, or one statement."""

from typing import Any, Final

from jobs.store.locks import LEADER_HELD

NAME: Final = "jobs leader"  # what a leader's session is called, before the number of its process
# A standby replaces a leader after 2 s without a statement, or 30 s in one. Here nobody looks twice, and the clock is the database's,
# which may be set: so there is more room for one that works. Whoever may not see what a session does takes it for one that works.
# Counted from the beginning of the transaction, in which PostgreSQL says the same of sessions until its end.
_HOLDERS: Final = f"FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE {LEADER_HELD}"
_IS_STUCK: Final = f"""coalesce(starts_with(a.application_name, '{NAME}') AND transaction_timestamp() - a.state_change > CASE
  WHEN a.state = 'active' THEN interval '40 s' WHEN starts_with(a.state, 'idle') THEN interval '10 s' END, false)"""
LIVING: Final = f"SELECT count(*) {_HOLDERS} AND NOT {_IS_STUCK}"
_STUCK: Final = f"SELECT a.application_name {_HOLDERS} AND {_IS_STUCK}"


def stuck(cursor: Any) -> int | None:
    """The number, on its host, of the leader's process when it does nothing. None: it works, there is none, or nobody can tell."""
    cursor.execute(_STUCK)
    number = "".join(name.removeprefix(NAME).strip() for (name,) in cursor.fetchall())
    return int(number) if number.isdecimal() else None
