"""The statements of a group commit, and what they are given: claims and completions."""

from collections.abc import Callable, Sequence
from typing import Any

from gevent.event import AsyncResult

from jobs.store.canvas import Part
from jobs.store.many import array
from jobs.store.tell import tell
from jobs.store.transitions import KEPT_PROGRESS, Run

# A generic plan, and only index scans: a plan made while the table was empty must not stay.
# No bitmaps: of the two small partial indexes of that time they became scans of all that waits.
SESSION = """SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off;
             SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SET lock_timeout = '200ms'"""


def _given(values: int, ids: int) -> str:
    """Of the array $values, the element that stands where the row's id stands in the array $ids; a process holds a job once only."""
    return f"(${values})[array_position(${ids}, j.id)]"


def _claimed(ids: int, runs: int, queues: int, priorities: int, worker: int, resent: int) -> str:
    """The UPDATE of claims, by the numbers of its parameters."""
    return f"""
  UPDATE jobs_job j SET status = 'running', runs = {_given(runs, ids)},
         attempts = attempts + CASE WHEN j.status = 'pending' THEN 1 ELSE 0 END, worker = ${worker}, started_at = statement_timestamp(),
         progress = {KEPT_PROGRESS}, deadline_at = statement_timestamp() + make_interval(secs => j.timeout)
   WHERE j.id = ANY (${ids}) AND (j.status = 'pending' AND j.runs = {_given(runs, ids)} - 1 AND j.run_at <= statement_timestamp()
         AND j.queue = {_given(queues, ids)} AND j.priority = {_given(priorities, ids)}
         OR ${resent} AND j.status = 'running' AND j.runs = {_given(runs, ids)} AND j.worker = ${worker})"""


# The last parameter: this batch was sent before and nobody knows whether it was committed; then a row with our own mark counts as won.
_FLUSH = f"""PREPARE jobs_flush (bigint[], int[], text[], bigint[], int[], text[], int[], int, boolean) AS
WITH done AS (
  UPDATE jobs_job j SET status = 'completed', finished_at = statement_timestamp(), result = {_given(3, 1)}::json
   WHERE j.id = ANY ($1) AND j.runs = {_given(2, 1)} AND (j.status = 'running' OR $9 AND j.status = 'completed') AND j.worker = $8
  RETURNING j.id, j.task_id),
claimed AS ({_claimed(4, 5, 6, 7, 8, 9)}
     AND (SELECT count(*) FROM done) >= 0
  RETURNING j.id)
SELECT (SELECT array_agg(id) FROM done), (SELECT array_agg(id) FROM claimed), (SELECT count({tell("task_id")}) FROM done)"""
# Where nothing has ended, as when a lone job comes to an idle worker: to begin the larger statement costs more than to do what it says.
_CLAIM = f"""PREPARE jobs_claim (bigint[], int[], text[], int[], int, boolean) AS
WITH claimed AS ({_claimed(1, 2, 3, 4, 5, 6)}
  RETURNING j.id)
SELECT NULL::bigint[], array_agg(id) FROM claimed"""
# Header tasks of chords, completed and counted. It fails, by a division by zero, when not all can be counted so: a chord is complete
# by it or was never sent whole, or a task was counted before.
_COUNT = f"""PREPARE jobs_count (bigint[], int[], text[], text[], int[], text[]) AS
WITH given AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6) AS g (job, run, result, chord, place, value)),
done AS (
  UPDATE jobs_job j SET status = 'completed', finished_at = clock_timestamp(), result = g.result::json FROM given g
   WHERE j.id = ANY ($1) AND j.id = g.job AND j.runs = g.run AND j.status = 'running' RETURNING j.id, j.task_id),
parts AS (
  INSERT INTO jobs_chordpart (chord_id, task_id, place, state, result)
  SELECT g.chord, d.task_id, g.place, 'SUCCESS', g.value::json FROM given g JOIN done d ON d.id = g.job
  ON CONFLICT DO NOTHING RETURNING chord_id),
counted AS (
  UPDATE jobs_chord c SET done = c.done + p.n FROM (SELECT chord_id, count(*)::int AS n FROM parts GROUP BY chord_id) p
   WHERE c.id = p.chord_id AND c.fired_at IS NULL AND c.done + p.n < c.size RETURNING p.n)
SELECT (SELECT array_agg(id) FROM done), (SELECT count({tell("task_id")}) FROM done),
       1 / CASE WHEN (SELECT coalesce(sum(n), 0) FROM counted) = (SELECT count(*) FROM done) THEN 1 ELSE 0 END"""
EXECUTE_COUNT = "EXECUTE jobs_count (%s::bigint[], %s::int[], %s::text[], %s::text[], %s::int[], %s::text[])"
PREPARE = f"{_FLUSH};\n{_CLAIM};\n{_COUNT}"
_EXECUTE = "EXECUTE jobs_flush ('%s', '%s', %%s::text[], '%s', '%s', %%s::text[], '%s', %d, '%s')"
_EXECUTE_CLAIM = "EXECUTE jobs_claim ('%s', '%s', %%s::text[], '%s', %d, '%s')"


class Change:
    """One claim or completion on its way."""

    __slots__ = ("answer", "priority", "queue", "result", "run")

    def __init__(self, run: Run, result: str | None = None, queue: str = "", priority: int = 0) -> None:
        self.run, self.result, self.queue, self.priority = run, result, queue, priority
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
    """The statement that sends one batch, and its parameters. It answers the ids that were completed and those that were claimed.

    The arrays of numbers are put into the statement here, and only they: psycopg2 adapts a list element by element, which took longer.
    """
    claimed = array([c.run.id for c in claims]), array([c.run.runs for c in claims]), array([c.priority for c in claims])
    queues = [c.queue for c in claims]
    if not completions:
        return _EXECUTE_CLAIM % (*claimed, worker, resent), (queues,)
    completed = array([c.run.id for c in completions]), array([c.run.runs for c in completions])
    return _EXECUTE % (*completed, *claimed, worker, resent), ([c.result for c in completions], queues)
