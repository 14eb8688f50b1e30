"""The numbers that PostgreSQL itself gave to jobs. An INSERT may bring any other: one above them is not the newest job's."""

from typing import Final

from jobs.domain.numbers import HIGHEST

# Whoever may not read the sequence does without: it needs a right of its own, which an INSERT does not.
LAST: Final = f"""coalesce((
    SELECT CASE WHEN has_sequence_privilege(s, 'USAGE, SELECT') THEN pg_sequence_last_value(s) END
      FROM (SELECT pg_get_serial_sequence('jobs_job', 'id')::regclass AS s) of_jobs), {HIGHEST})"""
