"""The numbers that PostgreSQL itself gave to jobs. An INSERT may bring any other: one above them is not the newest job's."""

from collections.abc import Iterable
from typing import Any, Final

from jobs.domain.numbers import HIGHEST

# Whoever may not read the sequence does without: it needs a right of its own, which an INSERT does not.
LAST: Final = f"""coalesce((
    SELECT CASE WHEN has_sequence_privilege(s, 'USAGE, SELECT') THEN pg_sequence_last_value(s) END
      FROM (SELECT pg_get_serial_sequence('jobs_job', 'id')::regclass AS s) of_jobs), {HIGHEST})"""

_TABLES: Final = """
SELECT t.name, pg_get_serial_sequence(quote_ident(t.name), 'id') FROM unnest(%s::text[]) AS t (name)
 WHERE CASE WHEN to_regclass(quote_ident(t.name)) IS NOT NULL THEN has_table_privilege(quote_ident(t.name), 'SELECT') END"""
# The rows first: whatever they say, the sequence has said before.
_BEHIND: Final = """
WITH rows AS MATERIALIZED (SELECT max(id) AS highest FROM {table})
SELECT highest FROM rows WHERE has_sequence_privilege(%(sequence)s, 'USAGE, SELECT')
   AND highest > coalesce(pg_sequence_last_value(%(sequence)s::regclass), 0)"""


def sequences(cursor: Any, tables: Iterable[str]) -> dict[str, str]:
    """The sequence of each of these tables that is there and may be read."""
    cursor.execute(_TABLES, [list(tables)])
    return {table: sequence for table, sequence in cursor.fetchall() if sequence}


def is_above(cursor: Any, table: str, sequence: str) -> int | None:
    """The highest number of a row, if the sequence has not come so far: some INSERT to come will meet a number that is taken."""
    cursor.execute(_BEHIND.format(table=table), {"sequence": sequence})
    row = cursor.fetchone()
    return row[0] if row else None


def may_take(cursor: Any, sequence: str) -> bool:
    """Whether this role may take numbers before it inserts, as COPY needs them."""
    cursor.execute("SELECT has_sequence_privilege(%s, 'USAGE, UPDATE')", [sequence])
    return bool(cursor.fetchone()[0])
