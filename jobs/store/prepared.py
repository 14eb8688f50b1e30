"""Claim and complete as prepared statements, for a session that moves one job at a time."""

from typing import Any, Final

from jobs.store.transitions import CLAIM, COMPLETE, Run

_CLAIM: Final = CLAIM % {"id": "$1", "runs": "$2", "worker": "$3", "queue": "$4", "priority": "$5", "task_id": "$6"}
_COMPLETE: Final = COMPLETE % {"id": "$1", "runs": "$2", "result": "$3", "meta": "NULL", "owner": "$4"}
PREPARE: Final = f"""
SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off;
PREPARE jobs_claim (bigint, int, bigint, text, int, text) AS {_CLAIM};
PREPARE jobs_complete (bigint, int, text, int) AS {_COMPLETE}"""
EXECUTE_CLAIM: Final = "EXECUTE jobs_claim (%s, %s, %s, %s, %s, %s)"
EXECUTE_COMPLETE: Final = "EXECUTE jobs_complete (%s, %s, %s, %s)"


def claim(cursor: Any, run: Run, *, task_id: str, worker: int, queue: str, priority: int) -> bool:
    """As `transitions.claim`, in a session that has executed PREPARE."""
    cursor.execute(EXECUTE_CLAIM, (run.id, run.runs, worker, queue, priority, task_id))
    return bool(cursor.rowcount)


def complete(cursor: Any, run: Run, *, result: str | None) -> bool:
    """As `transitions.complete`, in a session that has executed PREPARE."""
    cursor.execute(EXECUTE_COMPLETE, (run.id, run.runs, result, run.worker))
    return bool(cursor.rowcount)
