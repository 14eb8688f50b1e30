"""The statements of a group commit, and what they are given: claims and completions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gevent.event import AsyncResult

from jobs.store.canvas import Part
from jobs.store.many import array, text_array
from jobs.store.tell import tell
from jobs.store.transitions import KEPT_PROGRESS, RUNNING, Run

# A generic plan, and only index scans: a plan made while the table was empty must not stay.
# No bitmaps: of the two small partial indexes of that time they became scans of all that waits.
SESSION = """SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off;
             SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SET lock_timeout = '200ms'"""


def _move(name: str, other_end: str, other_claim: str) -> str:
    """Ends, and the claims that take their slots, as one UPDATE: PostgreSQL reads the table's constraints anew for each.

    A row without a queue is an end, and `text` its result; that of a claim is the Celery id, which tells the job from one of the same
    number in another database that uses the same Redis. The rows are changed in the order given, ends first, so that who follows the
    changes one by one (a trigger, logical decoding) counts no more running jobs than there are slots: `= ANY` keeps the planner from
    turning the join round.
    """
    return f"""PREPARE {name} (bigint[], int[], text[], text[], int[], int) AS
UPDATE jobs_job j SET status = CASE WHEN g.queue IS NULL THEN 'completed' ELSE 'running' END, runs = g.run, worker = $6,
       attempts = j.attempts + CASE j.status WHEN 'pending' THEN 1 ELSE 0 END,
       result = CASE WHEN g.queue IS NULL THEN g.text::json ELSE j.result END,
       finished_at = CASE WHEN g.queue IS NULL THEN statement_timestamp() END,
       started_at = CASE WHEN g.queue IS NULL THEN j.started_at ELSE statement_timestamp() END,
       progress = CASE WHEN g.queue IS NULL THEN j.progress ELSE {KEPT_PROGRESS} END,
       deadline_at = CASE WHEN g.queue IS NULL THEN j.deadline_at ELSE statement_timestamp() + make_interval(secs => j.timeout) END
  FROM unnest($1, $2, $3, $4, $5) AS g (id, run, text, queue, priority)
 WHERE j.id = ANY (ARRAY[g.id]) AND CASE WHEN g.queue IS NULL THEN
         j.runs = g.run AND j.worker = $6 AND (j.status = 'running'{other_end})
       ELSE j.status = 'pending' AND j.runs = g.run - 1 AND j.run_at <= statement_timestamp()
         AND j.queue = g.queue AND j.priority = g.priority AND j.task_id = g.text{other_claim} END
RETURNING j.id, g.queue IS NULL, CASE WHEN g.queue IS NULL THEN {tell("j.task_id")} END"""


_MOVE = _move("jobs_move", "", "")
# This batch was sent before and nobody knows whether it was committed: a row with our own mark counts as won.
_MOVE_AGAIN = _move("jobs_move_again", " OR j.status = 'completed'", " OR j.status = 'running' AND j.runs = g.run AND j.worker = $6")
# Header tasks of chords, completed and counted. It changes nothing, and says so, when not all can be counted so: a chord is complete by
# it or was never sent whole. Should that be seen too late, or a task have been counted before, it fails by a division by zero: such an
# error stands in PostgreSQL's log with all the results, so it may not be how every chord ends.
_COUNT = f"""PREPARE jobs_count (bigint[], int[], text[], text[], int[], text[], int) AS
WITH given AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6) AS g (job, run, result, chord, place, value)),
fits AS (
  SELECT bool_and(EXISTS (SELECT FROM jobs_chord c WHERE c.id = g.chord AND c.fired_at IS NULL AND c.done + g.n < c.size)) AS whole
    FROM (SELECT chord, count(*)::int AS n FROM given GROUP BY chord) g),
done AS (
  UPDATE jobs_job j SET status = 'completed', finished_at = clock_timestamp(), result = g.result::json FROM given g
   WHERE (SELECT whole FROM fits) AND j.id = ANY ($1) AND j.id = g.job AND j.runs = g.run AND {RUNNING} AND j.worker = $7
   RETURNING j.id, j.task_id),
parts AS (
  INSERT INTO jobs_chordpart (chord_id, task_id, place, state, result)
  SELECT g.chord, d.task_id, g.place, 'SUCCESS', g.value::json FROM given g JOIN done d ON d.id = g.job
  ON CONFLICT DO NOTHING RETURNING chord_id),
counted AS (
  UPDATE jobs_chord c SET done = c.done + p.n FROM (SELECT chord_id, count(*)::int AS n FROM parts GROUP BY chord_id) p
   WHERE c.id = p.chord_id AND c.fired_at IS NULL AND c.done + p.n < c.size RETURNING p.n)
SELECT (SELECT array_agg(id) FROM done), (SELECT count({tell("task_id")}) FROM done),
       1 / CASE WHEN (SELECT coalesce(sum(n), 0) FROM counted) = (SELECT count(*) FROM done) THEN 1 ELSE 0 END,
       (SELECT whole FROM fits)"""
EXECUTE_COUNT = "EXECUTE jobs_count (%s::bigint[], %s::int[], %s::text[], %s::text[], %s::int[], %s::text[], %s)"
PREPARE = f"{_MOVE};\n{_MOVE_AGAIN};\n{_COUNT}"
_EXECUTE = "EXECUTE {} ('%s', '%s', %%s, %%s, '%s', %d)"
_EXECUTE_MOVE, _EXECUTE_AGAIN = _EXECUTE.format("jobs_move"), _EXECUTE.format("jobs_move_again")


class Change:
    """One claim or completion on its way."""

    __slots__ = ("answer", "priority", "queue", "run", "text")

    def __init__(self, run: Run, text: str | None = None, queue: str = "", priority: int = 0) -> None:
        self.run, self.text, self.queue, self.priority = run, text, queue, priority  # `text`: the result, or the Celery id of a claim
        self.answer = AsyncResult()


class Counted(Change):
    """A completion that a chord counts; `body` writes it with all that follows from it."""

    __slots__ = ("alone", "body", "doubt", "left", "part")

    def __init__(self, run: Run, result: str | None, part: Part, body: Callable[[Any], bool]) -> None:
        super().__init__(run, result)
        self.part, self.body = part, body
        self.alone = self.left = False  # its own task is to write it; that task does not wait for the answer any more
        self.doubt = False  # it was sent, and nobody knows whether it was committed


def batch(completions: Sequence[Change], claims: Sequence[Change], worker: int, *, resent: bool) -> tuple[str, tuple[Any, ...]]:
    """The statement that sends one batch, and its parameters; `answer` reads what comes back.

    The arrays of numbers are put into the statement here, and only they: psycopg2 adapts a list element by element, which took longer.
    """
    ends, starts = sorted(completions, key=_id), sorted(claims, key=_id)  # so that two who change the same rows hardly block each other
    both, no_queue = [*ends, *starts], [None] * len(ends)
    numbers = array([c.run.id for c in both]), array([c.run.runs for c in both]), array([c.priority for c in both])
    texts = text_array([c.text for c in both]), text_array([*no_queue, *[str(c.queue) for c in starts]])
    return (_EXECUTE_AGAIN if resent else _EXECUTE_MOVE) % (*numbers, worker), texts


def _id(change: Change) -> int:
    return change.run.id


def answer(rows: Iterable[tuple[int, bool, str | None]]) -> tuple[set[int], set[int]]:
    """The ids that were completed, and those that were claimed."""
    found: tuple[set[int], set[int]] = set(), set()
    for id, completed, _ in rows:
        found[0 if completed else 1].add(id)
    return found
