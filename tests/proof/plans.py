"""What PostgreSQL plans for the statements of the engine."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.store import deadline, interventions, links, transitions
from jobs.store.insert import NewJob
from jobs.store.transitions import Failure, Run
from jobs.worker import flush

NEXT = NewJob(task="t.nap", task_id="next", priority=0)


class Plan:
    """What one EXPLAIN (ANALYZE, BUFFERS) tells."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.indexes: set[str] = set()
        self.scanned: set[str] = set()  # tables read from end to end
        self.buffers = plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        self._walk(plan["Plan"])

    def _walk(self, node: dict[str, Any]) -> None:
        if "Index Name" in node:
            self.indexes.add(node["Index Name"])
        if node["Node Type"] == "Seq Scan":
            self.scanned.add(node["Relation Name"])
        for child in node.get("Plans", []):
            self._walk(child)


def explain(statement: str, values: Any, session: str) -> Plan:
    """The plan of a statement as a process runs it, and undone."""
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT plan")
        for part in session.split(";"):
            if part.strip().startswith("SET "):
                cursor.execute(f"SET LOCAL {part.strip()[4:]}")
        try:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, values)
            found = cursor.fetchone()[0]
        finally:
            cursor.execute("ROLLBACK TO SAVEPOINT plan")
    return Plan((json.loads(found) if isinstance(found, str) else found)[0])


@contextmanager
def prepared() -> Iterator[Any]:
    """A cursor in whose session the statements of a group commit stand ready until the block ends."""
    with connection.cursor() as cursor:
        cursor.execute(flush.PREPARE)
        try:
            yield cursor
        finally:
            cursor.execute("DEALLOCATE jobs_move; DEALLOCATE jobs_move_again; DEALLOCATE jobs_count")


def verbs(run: Run, ids: Sequence[int]) -> dict[str, Any]:
    """All that moves a row: of this run, or of these jobs that wait."""
    failure = Failure(error_class="Broken", message="no")
    return {
        "complete": lambda c: transitions.complete(c, run, result="1"),
        "complete a link": lambda c: links.complete_linked(c, run, result="1", meta=None, new=NEXT),
        "hand over": lambda c: links.complete_handing_on(c, run, result="1", meta=None, new=NEXT, worker=7, queues=["a", "b"]),
        "retry": lambda c: transitions.retry(c, run, failure, delay=1.0),
        "release": lambda c: transitions.release(c, run, failure=failure),
        "bury": lambda c: transitions.bury(c, run, failure, task="t.nap"),
        "lose": lambda c: transitions.lose(c, run, failure),
        "stop": lambda c: transitions.cancel_running(c, run, failure),
        "cancel": lambda c: interventions.cancel_pending(c, ids),
        "ask": lambda c: interventions.ask_cancel(c, [run.id], "sara"),
        "reprocess": lambda c: interventions.reprocess(c, ids),
        "progress": lambda c: transitions.report_progress(c, run, "{}"),
        "keep its time": lambda c: not deadline.move(c, {run: 9.0}),
    }


def caught(verb: Any) -> list[str]:
    """The statements that a verb sends, with their values, and undone."""
    with CaptureQueriesContext(connection) as captured, connection.cursor() as cursor:
        cursor.execute("SAVEPOINT verb")
        assert verb(cursor)
        cursor.execute("ROLLBACK TO SAVEPOINT verb")
    return [query["sql"] for query in captured.captured_queries if "SAVEPOINT" not in query["sql"]]
