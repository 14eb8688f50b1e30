"""The one statement of a group commit: what it moves, and that it touches nothing else it was asked for."""

from contextlib import closing
from typing import Any

import pytest
from django.db import connection

from jobs import enqueue
from jobs.models import Job
from jobs.store import engine
from jobs.store.transitions import Run
from jobs.worker import flush
from jobs.worker.flush import Change

pytestmark = pytest.mark.django_db(transaction=True)
ME, OTHER = 7, 8
RUNNING = "status = 'running', started_at = '2026-01-01+0', deadline_at = '2026-01-02+0'"
COMPLETED = f"{RUNNING}, status = 'completed', finished_at = '2026-01-01+0', result = '\"first\"'".replace("status = 'running', ", "", 1)
RESULT = '"a \\"quoted\\" {text}, \\\\ NULL"'

# name: (what the row has, whether a batch with its end moves it, and whether one that was sent before does)
ENDS = {
    "mine": (f"{RUNNING}, worker = {ME}, runs = 2, attempts = 2", True, True),
    "another worker's": (f"{RUNNING}, worker = {OTHER}, runs = 2, attempts = 2", False, False),
    "a later run": (f"{RUNNING}, worker = {ME}, runs = 3, attempts = 2", False, False),
    "given back": ("runs = 2", False, False),
    "ended by me": (f"{COMPLETED}, worker = {ME}, runs = 2", False, True),
    "ended by another": (f"{COMPLETED}, worker = {OTHER}, runs = 2", False, False),
}
CLAIMS = {
    "free": ("runs = 1, attempts = 1, losses = 1", True, True),
    "with progress": ("""runs = 1, progress = '{"fraction": 0.5}'""", True, True),
    "aborted": ("""runs = 1, progress = '{"state": "ABORTED"}'""", True, True),
    "of another priority": ("runs = 1, priority = 3", False, False),
    "of another queue": ("runs = 1, queue = 'other'", False, False),
    "not due": ("runs = 1, run_at = '9999-01-01+0'", False, False),
    "run before": ("runs = 2", False, False),
    "cancelled": ("runs = 1, status = 'cancelled', finished_at = '2026-01-01+0'", False, False),
    "claimed by me": (f"{RUNNING}, worker = {ME}, runs = 2, attempts = 1", False, True),
    "claimed by another": (f"{RUNNING}, worker = {OTHER}, runs = 2, attempts = 1", False, False),
    "ended by me since": (f"{COMPLETED}, worker = {ME}, runs = 2", False, False),
}


def made(values: str) -> int:
    id = enqueue("jobs.tasks.sleep", args=[0], timeout=60).id
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs_job SET {values.replace('%', '%%')} WHERE id = %s", [id])
    return int(id)


def rows() -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in Job.objects.values()}


@pytest.mark.parametrize("resent", [False, True])
def test_a_batch_moves_its_own_rows(resent: bool) -> None:
    ends = {made(values): which[resent] for values, *which in ENDS.values()}
    claims = {made(values): which[resent] for values, *which in CLAIMS.values()}
    bystander, before = made("runs = 1"), rows()
    with closing(engine.connect("test of a batch")) as session, session.cursor() as cursor:
        cursor.execute(flush.SESSION)
        cursor.execute(flush.PREPARE)
        completions = [Change(Run(id=id, runs=2), result) for id, result in zip(ends, [RESULT, *[None] * len(ends)], strict=False)]
        starts = [Change(Run(id=id, runs=2), queue="celery", priority=5) for id in claims]
        cursor.execute(*flush.batch(completions, starts, ME, resent=resent))
        done, claimed = flush.answer(cursor.fetchall())
    after = rows()
    assert done == {id for id, moved in ends.items() if moved}
    assert claimed == {id for id, moved in claims.items() if moved}
    for id in {*ends, *claims, bystander} - done - claimed:
        assert after[id] == before[id]
    own = next(iter(ends))
    for id in done:
        changed = {"status": "completed", "permanently_failed": False, "result": None, "finished_at": after[id]["finished_at"]}
        assert after[id] == before[id] | changed | ({"result": 'a "quoted" {text}, \\ NULL'} if id == own else {})
        assert after[id]["finished_at"] > before[id]["created_at"]
    for id in claimed:
        was, now = before[id], after[id]
        new = was["status"] == "pending"
        assert (now["status"], now["worker"], now["runs"]) == ("running", ME, 2)
        assert now["attempts"] == was["attempts"] + new
        assert now["started_at"] > was["created_at"]
        assert (now["deadline_at"] - now["started_at"]).total_seconds() == 60
        assert now["progress"] == (None if was["progress"] is None or "fraction" in was["progress"] else was["progress"])
        moved = {"status", "worker", "runs", "attempts", "started_at", "deadline_at", "progress"}
        assert {name: value for name, value in now.items() if name not in moved} == {
            name: value for name, value in was.items() if name not in moved
        }


def test_a_batch_of_nothing_moves_nothing() -> None:
    made("runs = 1")
    before = rows()
    with closing(engine.connect("test of a batch")) as session, session.cursor() as cursor:
        cursor.execute(flush.PREPARE)
        for resent in (False, True):
            cursor.execute(*flush.batch([], [], ME, resent=resent))
            assert flush.answer(cursor.fetchall()) == (set(), set())
    assert rows() == before
