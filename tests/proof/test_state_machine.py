"""Random histories of all verbs, by a worker's connection and a person's, against a second statement of what each should do.

Either may leave its transaction open, so that the other meets its locks and its uncommitted rows.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import IntegrityError, connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from jobs import control, dead_letters
from jobs.models.attempt import Outcome
from jobs.store import interventions, links, replaced, transitions
from jobs.store.insert import NewJob
from jobs.store.sent import insert_sent
from jobs.store.transitions import Failure, Run
from jobs.worker import flush
from jobs.worker.flush import Change
from tests.proof import rules
from tests.proof.connections import WON, Actor, TwoConnections
from tests.proof.rules import Row

WORKER = 7
OUTCOME = st.sampled_from([Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST])
PRIORITY = st.sampled_from([0, 5, 9])
# Each verb with the statuses in which it may win.
BY_WORKER = {
    "claim": "pending", "complete": "running", "retry": "running", "release": "running", "lose": "running", "bury": "running",
    "cancel_running": "running", "report_progress": "running", "set_aside": "running", "bury_held": "pending",
    "send_again": "completed failed cancelled", "delete": "completed failed cancelled",
}  # fmt: skip
BY_PERSON = {
    "resolve": "failed", "fail_completed": "completed", "cancel": "pending running", "reprocess": "failed cancelled",
    "change_priority": "pending", "restore": "cancelled", "revoke": "pending running",
    "send_again": "completed failed cancelled", "delete": "completed failed cancelled",
}  # fmt: skip
_AUDIT = """
CREATE TABLE proof_audit (id bigint, old text, new text, runs_before int, runs_after int);
CREATE FUNCTION proof_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO proof_audit VALUES (NEW.id, OLD.status, NEW.status, OLD.runs, NEW.runs); RETURN NULL; END $$;
CREATE TRIGGER proof_note AFTER UPDATE ON jobs_job FOR EACH ROW EXECUTE FUNCTION proof_note()"""


def failure(outcome: Outcome = Outcome.FAILED) -> Failure:
    return Failure(error_class="Broken", message="no", outcome=outcome)


class Machine(TwoConnections):
    """The verbs as rules."""

    @precondition(lambda self: not self.worker.open and len(self.task_ids) < 4)
    @rule(priority=PRIORITY, status=st.sampled_from(["pending", "running", "completed", "failed", "held"]))
    def enqueue(self, priority: int, status: str) -> None:
        """Committed at once: an id that another does not see yet cannot be named by it."""
        name = str(uuid.uuid4())
        with self.own.cursor() as cursor:
            assert insert_sent(cursor, NewJob(task="t.nap", task_id=name, priority=priority))
            cursor.execute("SELECT id FROM jobs_job WHERE task_id = %s", [name])
            id = cursor.fetchone()[0]
            run, row = Run(id=id, runs=1), Row(priority=priority)
            if status != "pending":
                assert transitions.claim(cursor, run, task_id=name, worker=WORKER, queue="celery", priority=priority)
                row = rules.claim(row, 1, WORKER, priority) or row
            if status == "completed":
                assert transitions.complete(cursor, run, result="1")
                row = rules.complete(row, 1) or row
            if status == "held":
                assert transitions.replace(cursor, run)
                row = rules.set_aside(row, 1) or row
            if status == "failed":
                assert transitions.bury(cursor, run, failure(), task="t.nap")
                row = rules.bury(row, 1, "failed") or row
        self.task_ids[id] = name
        self.worker.changed[id] = row
        self._end(self.worker, commit=True)

    @precondition(lambda self: not self.worker.open and len(self.task_ids) < 4)
    @rule(before=PRIORITY, priority=PRIORITY, late=st.booleans())
    def hand_over(self, before: int, priority: int, late: bool) -> None:
        """The end of one job and the birth of another, which runs at once if nothing that is due outranks it."""
        names = [str(uuid.uuid4()), str(uuid.uuid4())]
        with self.own.cursor() as cursor:
            assert insert_sent(cursor, NewJob(task="t.nap", task_id=names[0], priority=before))
            cursor.execute("SELECT id FROM jobs_job WHERE task_id = %s", [names[0]])
            first = cursor.fetchone()[0]
            row = Row(priority=before)
            if not late:
                assert transitions.claim(cursor, Run(id=first, runs=1), task_id=names[0], worker=WORKER, queue="celery", priority=before)
                row = rules.claim(row, 1, WORKER, before) or row
            self._end(self.worker, commit=True)
            new = NewJob(task="t.nap", task_id=names[1], priority=priority)
            linked = links.complete_handing_on(
                cursor, Run(id=first, runs=1), result="1", meta=None, new=new, worker=WORKER, queues=["celery"]
            )
            cursor.execute("SELECT id FROM jobs_job WHERE task_id = %s", [names[1]])
            made = cursor.fetchone()
        known = {**self.committed, first: row}
        outranked = any(other.status == "pending" and other.due and other.priority >= priority for other in known.values())
        won = linked is not None
        assert won == (not late)
        assert (made is not None) == won
        self.task_ids[first], self.worker.changed[first] = names[0], (rules.complete(row, 1) or row) if won else row
        if won:
            assert linked.begun == (0 if outranked else made[0])
            self.task_ids[made[0]] = names[1]
            born = Row(priority=priority)
            self.worker.changed[made[0]] = born if outranked else rules.replace(born, status="running", runs=1, attempts=1, worker=WORKER)
            WON["waits" if outranked else "hand_over"] += 1
        self._end(self.worker, commit=True)

    @precondition(lambda self: self.task_ids)
    @rule(data=st.data(), who=st.lists(st.sampled_from(["worker", "person", "leader"]), min_size=2, max_size=6))
    def act(self, data: Any, who: list[str]) -> None:
        """A leader acts over the other connection: what the worker does may be open."""
        for one in who:
            if self.task_ids:
                self._act(self.worker if one == "worker" else self.person, data, BY_PERSON if one == "person" else BY_WORKER)
                self.rows_are_as_expected()

    def _act(self, actor: Actor, data: Any, verbs: dict[str, str]) -> None:
        """Mostly a verb that the job's status allows, for the job's present run; sometimes any, late."""
        id = data.draw(st.sampled_from(sorted(self.task_ids)))
        row = self._see(actor, id) or Row()
        fitting = [name for name, sources in verbs.items() if row.status in sources]
        kind = data.draw(st.sampled_from(["fitting"] * 6 + ["any", "late"]))
        self.verb = name = data.draw(st.sampled_from(fitting if fitting and kind == "fitting" else sorted(verbs)))
        getattr(self, f"_{name}")(actor, id, Run(id=id, runs=row.runs - (kind == "late")), data)

    def _send_again(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        if self._see(actor, id) is None:  # deleted: it would be a new job
            return
        priority, due = data.draw(PRIORITY), data.draw(st.booleans())
        new = NewJob(task="t.nap", task_id=self.task_ids[id], priority=priority, run_at=None if due else "2100-01-01T00:00:00+00")
        self._do(actor, id, lambda cursor: insert_sent(cursor, new), lambda row: rules.send_again(row, priority, due=due))

    def _claim(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        """With runs and priority as the leader saw them when it sent the message."""
        seen = self.committed.get(id, Row())
        run = Run(id=id, runs=run.runs + 1)
        batch, resent = actor is self.worker and data.draw(st.booleans()), data.draw(st.booleans())

        def expected(row: Row) -> Row | None:
            if batch and resent and row.runs_as(run.runs) and row.worker == WORKER:
                return rules.replace(row, progress=False)  # our own claim, whose answer was lost
            return rules.claim(row, run.runs, WORKER, seen.priority)

        name = self.task_ids[id]

        def verb(cursor: Any) -> bool:
            if not batch:
                return transitions.claim(cursor, run, task_id=name, worker=WORKER, queue="celery", priority=seen.priority)
            cursor.execute(*flush.batch([], [Change(run, name, "celery", seen.priority)], WORKER, resent=resent))
            return bool(flush.answer(cursor.fetchall())[1])

        self._do(actor, id, verb, expected)

    def _complete(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        batch, resent = actor is self.worker and data.draw(st.booleans()), data.draw(st.booleans())

        def expected(row: Row) -> Row | None:
            if batch and resent and row.status == "completed" and row.runs == run.runs and row.worker == WORKER:
                return row
            return rules.complete(row, run.runs)

        def verb(cursor: Any) -> bool:
            if not batch:
                return transitions.complete(cursor, run, result="1")
            cursor.execute(*flush.batch([Change(run, "1")], [], WORKER, resent=resent))
            return bool(flush.answer(cursor.fetchall())[0])

        self._do(actor, id, verb, expected)

    def _retry(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        outcome, due = data.draw(OUTCOME), data.draw(st.booleans())
        self._do(
            actor, id, lambda cursor: transitions.retry(cursor, run, failure(outcome), delay=0.0 if due else 9999.0),
            lambda row: rules.retry(row, run.runs, outcome.value, due=due),
        )  # fmt: skip

    def _set_aside(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        self._do(actor, id, lambda cursor: transitions.replace(cursor, run), lambda row: rules.set_aside(row, run.runs))

    def _bury_held(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        name = self.task_ids[id]
        self._do(actor, id, lambda cursor: replaced.bury(cursor, name, failure(), "{}"), rules.bury_held)

    def _release(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        due, noted = data.draw(st.booleans()), data.draw(st.booleans())
        why = failure(Outcome.INTERRUPTED) if noted else None
        self._do(
            actor, id, lambda cursor: transitions.release(cursor, run, delay=0.0 if due else 9999.0, failure=why),
            lambda row: rules.release(row, run.runs, due=due, noted=noted),
        )  # fmt: skip

    def _lose(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        lost = failure(Outcome.LOST)
        self._do(actor, id, lambda cursor: transitions.lose(cursor, run, lost), lambda row: rules.lose(row, run.runs))

    def _bury(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        outcome = data.draw(OUTCOME)
        self._do(
            actor, id, lambda cursor: transitions.bury(cursor, run, failure(outcome), task="t.nap"),
            lambda row: rules.bury(row, run.runs, outcome.value),
        )  # fmt: skip

    def _cancel_running(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        stopped = failure(Outcome.CANCELLED)
        self._do(
            actor, id, lambda cursor: transitions.cancel_running(cursor, run, stopped), lambda row: rules.cancel_running(row, run.runs)
        )

    def _report_progress(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        self._do(
            actor, id, lambda cursor: transitions.report_progress(cursor, run, '{"fraction": 0.5}'),
            lambda row: rules.report_progress(row, run.runs),
        )  # fmt: skip

    def _cancel(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        self._do(actor, id, lambda _: control.cancel([id], "sara").done, rules.cancel)

    def _revoke(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        self._do(actor, id, lambda cursor: interventions.revoke(cursor, [id]), rules.revoke)

    def _reprocess(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        self._do(actor, id, lambda _: control.reprocess([id], "sara").done, rules.reprocess)

    def _restore(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        self._do(actor, id, lambda _: control.restore([id], "sara").done, rules.restore)

    def _change_priority(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        priority = data.draw(PRIORITY)
        self._do(actor, id, lambda _: control.change_priority([id], priority).done, lambda row: rules.change_priority(row, priority))

    def _fail_completed(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        self._do(actor, id, lambda _: control.fail_completed([id], "sara").done, rules.fail_completed)

    def _resolve(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        def verb(cursor: Any) -> list[int]:
            cursor.execute("SELECT id FROM jobs_deadletterqueue WHERE job_id = %s", [id])
            return dead_letters.resolve([row[0] for row in cursor.fetchall()], "sara").done

        self._do(actor, id, verb, rules.resolve)

    def _delete(self, actor: Actor, id: int, run: Run, data: Any) -> None:
        row = self._see(actor, id)
        gone, before = row is not None and rules.may_go(row), self.blocked
        self._do(actor, id, lambda cursor: interventions.delete_ended(cursor, [id]), lambda same: same if gone else None)
        if gone and self.blocked == before:
            if actor.open:
                actor.changed[id] = None
            else:
                self.committed.pop(id)
            self.task_ids.pop(id)


@pytest.fixture
def _audited(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(_AUDIT)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER proof_note ON jobs_job; DROP FUNCTION proof_note(); DROP TABLE proof_audit; RESET lock_timeout")


def _run(examples: int) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=50, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.usefixtures("_audited")
def test_every_history_of_the_verbs_is_as_written_down() -> None:
    WON.clear()
    _run(60)
    assert set(WON) == {*BY_WORKER, *BY_PERSON, "hand_over", "waits"}, "each verb has won in some of them"


@pytest.mark.usefixtures("_audited")
@pytest.mark.parametrize(
    ("name", "broken"),
    [("FENCE", "id = %(id)s AND status = 'running'"), ("FENCE", "id = %(id)s AND runs = %(runs)s"), ("enter", lambda *_: True)],
    ids=["any run may write", "any status may be left", "no dead letter"],
)
def test_it_notices_a_broken_rule(monkeypatch: pytest.MonkeyPatch, name: str, broken: Any) -> None:
    monkeypatch.setattr(transitions, name, broken)
    with pytest.raises((AssertionError, psycopg2.Error, IntegrityError)):
        _run(60)
