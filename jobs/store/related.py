"""Jobs that belong to one job, in one query that reads by number or by Celery id only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connections

from jobs.conf import configuration
from jobs.domain.numbers import HIGHEST
from jobs.models import Job
from jobs.store.numbering import LAST

NEAR: Final = 300  # numbers to either side where the others of a group are looked for: a group is sent at once
LATELY: Final = 5_000  # newest numbers where jobs of the same task are looked for
MOST: Final = 10  # of a group
NEWEST: Final = 5  # of the same task
_READ: Final = "id, task_id, name, task, status, run_at, attempts"  # in the order of the fields
_COLUMNS: Final = _READ.split(", ")
# The group is looked for as text: PostgreSQL takes no object apart that has a \u0000 in it.
_SQL: Final = rf"""
SELECT 'known', {_READ} FROM jobs_job WHERE task_id = ANY(%(ids)s)
UNION ALL
(SELECT 'group', {_READ} FROM jobs_job WHERE %(group)s::text IS NOT NULL AND id BETWEEN %(from)s AND %(to)s AND id <> %(pk)s
    AND strpos(options::text, %(group)s::text) > 0 ORDER BY id LIMIT {MOST})
UNION ALL
(SELECT 'task', {_READ} FROM jobs_job WHERE id > (SELECT max(id) FROM jobs_job WHERE id <= {LAST}) - {LATELY}
    AND task = %(task)s AND id <> %(pk)s ORDER BY id DESC LIMIT {NEWEST})"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """`known`: by Celery id; `group`: others of the group; `task`: of the same task, the newest first. Other columns are not read."""

    known: dict[str, Job]
    group: list[Job]
    task: list[Job]


def related(job: Job, ids: Sequence[str], group: str | None) -> Related:
    """The jobs with these Celery ids, others of the group (a text of the stored message; None: no group), and the newest of the task."""
    found: dict[str, list[Job]] = {"known": [], "group": [], "task": []}
    with connections[configuration().database].cursor() as cursor:
        near = {"from": max(job.pk - NEAR, -HIGHEST), "to": min(job.pk + NEAR, HIGHEST)}
        cursor.execute(_SQL, {"ids": list(ids), "group": group, "pk": job.pk, "task": job.task, **near})
        for kind, *values in cursor.fetchall():
            found[kind].append(Job.from_db(configuration().database, _COLUMNS, values))
    return Related(known={str(one.task_id): one for one in found["known"]}, group=found["group"], task=found["task"])
