"""Ended jobs are removed, but for those that the database keeps: a row of another table refers to them."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg2
from django.db import IntegrityError

from jobs.domain.numbers import possible
from jobs.store import interventions
from jobs.store.many import array

# Tables of others whose rows refer to jobs by a key that lets none go, as far as this role may read them.
REFERRING: Final = """
SELECT format(' AND NOT EXISTS (SELECT FROM %s r WHERE r.%I = j.%I)', c.conrelid::regclass, k.attname, f.attname)
  FROM pg_constraint c JOIN pg_attribute k ON k.attrelid = c.conrelid AND k.attnum = c.conkey[1]
  JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
 WHERE c.contype = 'f' AND c.confrelid = 'jobs_job'::regclass AND c.confdeltype IN ('a', 'r') AND c.conparentid = 0
   AND cardinality(c.conkey) = 1 AND c.conrelid NOT IN ('jobs_attempt'::regclass, 'jobs_deadletterqueue'::regclass)
   AND has_schema_privilege(c.connamespace, 'USAGE') AND has_column_privilege(c.conrelid, k.attnum, 'SELECT')
 ORDER BY c.oid"""
# Such keys, and others, that are asked for at the commit only.
_DEFERRED: Final = """
SELECT string_agg(format('%I.%I', n.nspname, c.conname), ', ' ORDER BY c.oid)
  FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
 WHERE c.contype = 'f' AND c.confrelid = 'jobs_job'::regclass AND c.condeferred AND c.conparentid = 0
   AND has_schema_privilege(n.oid, 'USAGE')"""


def unreferred(cursor: Any) -> str:
    """What a statement asks of jobs `j` that may go, after its other conditions: " AND …", or "" where nothing refers to jobs."""
    cursor.execute(REFERRING)
    return "".join(row[0].replace("%", "%%") for row in cursor.fetchall())


def remove(ids: Sequence[int], delete: Callable[[Sequence[int]], list[int]], stays: Callable[[int, Exception], Any]) -> list[int]:
    """Remove these jobs, those apart that the database keeps, which `stays` is told of; the numbers of those that were."""
    try:
        return delete(ids)
    except (psycopg2.IntegrityError, IntegrityError) as error:  # a key that was not read before, or a row that came meanwhile
        if len(ids) == 1:
            stays(ids[0], error)
            return []
        half = len(ids) // 2
        return remove(ids[:half], delete, stays) + remove(ids[half:], delete, stays)


def referred(cursor: Any, ids: Sequence[int]) -> set[int]:
    """Those of these jobs to which a row refers that can be read."""
    cursor.execute(f"SELECT id FROM jobs_job j WHERE id = ANY(%s::bigint[]) AND NOT (true{unreferred(cursor)})", [array(possible(ids))])
    return {row[0] for row in cursor.fetchall()}


def delete_now(cursor: Any, ids: Sequence[int]) -> list[int]:
    """`delete_ended` in a transaction that goes on: what its commit would refuse is refused at once. Raises IntegrityError."""
    done = interventions.delete_ended(cursor, ids)
    cursor.execute(_DEFERRED)
    if names := cursor.fetchone()[0]:
        cursor.execute(f"SET CONSTRAINTS {names} IMMEDIATE")
        cursor.execute(f"SET CONSTRAINTS {names} DEFERRED")
    return done
