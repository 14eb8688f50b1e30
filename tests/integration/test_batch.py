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
from tests.rows import task_id_of

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
    "with odd progress": (r"""runs = 1, progress = '{"fraction": 0.5, "message": "\u0000"}'""", True, True),
    "with an odd state": (r"""runs = 1, progress = '{"state": "ABORTED", "result": {"fraction": "\ud800"}}'""", True, True),
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
        starts = [Change(Run(id=id, runs=2), before[id]["task_id"], "celery", 5) for id in claims]
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


@pytest.mark.parametrize("resent", [False, True])
def test_ends_are_changed_before_the_claims_that_take_their_slots(resent: bool) -> None:
    """As a trigger for each row sees it, or who decodes the log; also by a plan that was made while there were no jobs."""
    with closing(engine.connect("test of a batch")) as session, session.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_job CASCADE")
        cursor.execute(flush.SESSION)
        cursor.execute(flush.PREPARE)
        cursor.execute(*flush.batch([], [Change(Run(id=1, runs=1), "nobody", "celery")], ME, resent=resent))
        waiting = [made("runs = 0") for _ in range(40)]  # numbers below and above those that run
        running = [made(f"{RUNNING}, worker = {ME}, runs = 1, attempts = 1") for _ in range(4)]
        waiting += [made("runs = 0") for _ in range(40)]
        cursor.execute(
            """CREATE TABLE seen (place serial, status text);
               CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN INSERT INTO seen (status) VALUES (NEW.status); RETURN NULL; END';
               CREATE TRIGGER see AFTER UPDATE ON jobs_job FOR EACH ROW EXECUTE FUNCTION see()"""
        )
        try:
            ends = [Change(Run(id=id, runs=1)) for id in reversed(running)]
            starts = [Change(Run(id=waiting[place], runs=1), task_id_of(waiting[place]), "celery", 5) for place in (50, 0, 60, 1)]
            cursor.execute(*flush.batch(ends, starts, ME, resent=resent))
            assert flush.answer(cursor.fetchall()) == (set(running), {waiting[place] for place in (0, 1, 50, 60)})
            cursor.execute("SELECT status FROM seen ORDER BY place")
            assert [status for (status,) in cursor.fetchall()] == ["completed"] * 4 + ["running"] * 4
        finally:
            cursor.execute("DROP TRIGGER see ON jobs_job; DROP FUNCTION see; DROP TABLE seen")
