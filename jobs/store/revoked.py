"""Ids that were revoked before a job had them, by somebody who could not see a call that was not committed yet, nor was seen by it."""

from collections.abc import Sequence
from typing import Any, Final

# Empty but for moments after such a revocation, or as long as an older transaction is open.
OPEN: Final = "unseen_before IS NOT NULL"
_JOBS: Final = f"SELECT id, task_id FROM jobs_job WHERE task_id = ANY (ARRAY(SELECT task_id FROM jobs_storedresult WHERE {OPEN}))"
# The first look that sees a revocation notes its own transaction: those that begin to write after it have seen the revocation as well.
_CLOSE: Final = f"""
UPDATE jobs_storedresult SET unseen_before = CASE WHEN unseen_before = 0 AND task_id <> ALL (%(done)s)
         THEN pg_current_xact_id()::text::bigint END
 WHERE {OPEN} AND (unseen_before = 0 OR unseen_before <= %(oldest)s OR task_id = ANY (%(done)s))"""


def oldest(cursor: Any) -> int:
    """The number of the oldest transaction that writes; to be asked ahead of `jobs`."""
    cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    return int(cursor.fetchone()[0])


def jobs(cursor: Any) -> list[tuple[int, str]]:
    """The number and the id of those that have been committed since."""
    cursor.execute(_JOBS)
    return list(cursor.fetchall())


def close(cursor: Any, done: Sequence[str], oldest: int) -> None:
    """Look no more for these ids, nor for those that no transaction from before their revocation can bring."""
    cursor.execute(_CLOSE, {"done": list(done), "oldest": oldest})
