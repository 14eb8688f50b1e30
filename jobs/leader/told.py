"""What inserts tell a sleeping leader of themselves (the trigger of migration 0021): a lone job is sent without asking for it first.

Whoever may connect to the database may NOTIFY, and may listen. So a job is told, and what is told is believed, only where all of them
may read and insert jobs anyway.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobs.celery_app.messages import Row
from jobs.domain.priority import HIGHEST, LOWEST, lane_of
from jobs.leader.window import Lane

# The trigger asks the same before it tells a job.
IS_PRIVATE: Final = """
NOT EXISTS (SELECT FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND has_database_privilege(oid, current_database(), 'CONNECT')
   AND NOT (has_table_privilege(oid, 'jobs_job'::regclass, 'SELECT') AND has_table_privilege(oid, 'jobs_job'::regclass, 'INSERT')))"""
_TYPES: Final = (int, str, str, str, str, int, int, int | None, int | None, bool, str | None, int)  # of a Row, after the queue


class Told:
    """The one job that was told and is to be sent."""

    def __init__(self) -> None:
        self.is_private = False  # at the last look
        self.job: tuple[str, Row] | None = None  # with its queue

    def hear(self, notifies: Sequence[Any]) -> None:
        """Take what has come since the last time. Several say that there is more than one job: which goes first, PostgreSQL knows."""
        self.job = read(notifies[0].payload) if len(notifies) == 1 and self.is_private else None

    def take(self, rooms: Mapping[Lane, int]) -> tuple[Lane, Row] | None:
        """The job and its lane, where there is room for it; it is forgotten."""
        job, self.job = self.job, None
        if job is None:
            return None
        lane = job[0], lane_of(job[1].priority)
        return (lane, job[1]) if rooms.get(lane) else None


def read(text: str) -> tuple[str, Row] | None:
    """The queue and the row. None for a text that says none, or says it as another version of the trigger would."""
    try:
        queue, *values = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(queue, str) or len(values) != len(_TYPES):
        return None
    if not all(isinstance(value, kind) for value, kind in zip(values, _TYPES, strict=True)):
        return None
    row = Row(*values)
    return (queue, row) if LOWEST <= row.priority <= HIGHEST else None
