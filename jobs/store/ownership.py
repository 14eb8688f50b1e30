"""Whether a run is this worker's, for those who know no more than its message: its duplicates carry the same `runs`."""

from collections.abc import Callable
from typing import Any, Final

from jobs.store.transitions import FENCE, Run

# The processes of a prefork worker have numbers of their own, with that of their parent.
_OWN: Final = f"""
SELECT FROM jobs_job WHERE {FENCE}
   AND (worker = %(worker)s OR worker IN (SELECT id FROM jobs_worker WHERE parent = %(worker)s)) FOR UPDATE"""


def if_own(change: Callable[[Any], Any], run: Run, worker: int) -> Callable[[Any], Any]:
    """The same change of a transaction, but it answers False unless this worker, or a process of it, has claimed the run."""

    def changed(cursor: Any) -> Any:
        cursor.execute(_OWN, {**run.fence, "worker": worker})
        return bool(cursor.rowcount) and change(cursor)

    return changed
