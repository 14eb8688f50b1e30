"""Finding jobs by words: the leader fills the index some time after the insert, so that no insert waits for it."""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from jobs.conf import configuration
from jobs.domain import readable, words
from jobs.domain.secrets import masked, masked_text
from jobs.store.locks import SEARCH
from jobs.store.many import execute_many
from jobs.store.numbering import LAST

logger = logging.getLogger(__name__)

MOST: Final = 10_000  # jobs that are found one by one; what more jobs have is looked for from the newest on
CHUNK: Final = 500  # rows of one step
LATE: Final = 5_000  # numbers below the newest indexed one whose transaction may have ended later
UNINDEXED: Final = 1_000  # of the newest jobs, looked at one by one
MOST_FAILED: Final = 25_000  # the same of jobs that failed
# Words of a job with this many are enough: PostgreSQL takes a megabyte of them at most, and each run can bring an error of its own.
FULL: Final = 1_000
SAMPLE: Final = 2_000  # of the newest jobs in the index: where they say that far more than MOST have the words, nobody counts them
# Of the index; it stands in migration 0018, letter for letter, as the condition of an index of its own.
FAILED: Final = "words @@ '{}'::tsquery".format(words.FAILED.replace("'", "''"))
_INDEXED: Final = f"(SELECT max(job) FROM jobs_search WHERE job <= {LAST})"  # the newest
# Of arguments of megabytes the beginning is enough: few words of one text are kept (jobs.domain.words), and they are masked first.
_LONGEST: Final = 10_000
# A text may have been cut within a password, which is not seen to be one without what follows it: that is no part of the words.
_SPARE: Final = 2 * words.OF_TEXT
_COLUMNS: Final = f"id, task, name, left(args::text, {_LONGEST + 1}), left(kwargs::text, {_LONGEST + 1}), created_by_id, last_error"
_READ: Final = f"SELECT {_COLUMNS} FROM jobs_job j"
_MORE: Final = f"CASE WHEN length(jobs_search.words) < {FULL} THEN jobs_search.words || {{0}}::tsvector ELSE jobs_search.words END"
_ADD: Final = f"UPDATE jobs_search SET words = {_MORE.format('%s')} WHERE job = %s"
_ADD_MANY: Final = (
    f"UPDATE jobs_search SET words = {_MORE.format('new.words')}, attempt = new.attempt::bigint"
    " FROM (VALUES %s) new (job, attempt, words) WHERE jobs_search.job = new.job::bigint"
)
# The numbers of both sides are bounded, else PostgreSQL would hash the whole index.
_MISSING: Final = "id > %(above)s AND NOT EXISTS (SELECT 1 FROM jobs_search s WHERE s.job = j.id AND s.job > %(above)s)"
_NEW: Final = f"{_READ} WHERE {_MISSING} ORDER BY id LIMIT {CHUNK}"
_NEWEST: Final = f"""
SELECT {_COLUMNS},
       (SELECT json_agg(json_build_array(a.error_class, a.message) ORDER BY a.id) FROM jobs_attempt a WHERE a.job_id = j.id)::text
  FROM jobs_job j WHERE {_MISSING} ORDER BY id DESC LIMIT {UNINDEXED}"""
_BLOCK: Final = f"{_READ} WHERE {_MISSING} AND id <= %(last)s ORDER BY id"
_ERRORS: Final = f"""
SELECT a.id, a.job_id, a.error_class, a.message FROM jobs_attempt a WHERE a.id > %(above)s
   AND EXISTS (SELECT 1 FROM jobs_search s WHERE s.job = a.job_id AND s.attempt < a.id) ORDER BY a.id LIMIT {CHUNK}"""
_FIND: Final = f"""
WITH seen AS (SELECT {_INDEXED} AS newest, count(*) FILTER (WHERE words @@ %(query)s::tsquery)
                     * (SELECT reltuples FROM pg_class WHERE oid = 'jobs_search'::regclass) / {SAMPLE} > 2 * {MOST} AS many
                FROM (SELECT job, words FROM jobs_search ORDER BY job DESC LIMIT {SAMPLE}) part)
SELECT newest, many, (SELECT array_agg(job) FROM (SELECT job FROM jobs_search
                                                   WHERE NOT (SELECT many FROM seen) AND words @@ %(query)s::tsquery LIMIT {MOST + 1}) hit)
  FROM seen"""
_FIND_FAILED: Final = f"""
SELECT {_INDEXED},
       (SELECT array_agg(job) FROM (SELECT job FROM jobs_search WHERE words @@ %s::tsquery AND {FAILED} LIMIT {MOST_FAILED + 1}) hit)"""
_NEWER_ERRORS: Final = (
    "SELECT a.id, a.job_id, a.error_class, a.message FROM jobs_attempt a JOIN jobs_search s ON s.job = a.job_id WHERE a.id > s.attempt"
)


# Positional arguments without secrets, by the name of the task, whose signature names them: `jobs.masking.positional`.
Mask = Callable[[str, Any], Any]


def fill(cursor: Any, mask: Mask) -> int:
    """Index some of what is new; how many rows that were, 0 also when another process does it. Run it in a transaction."""
    if not _turn(cursor):
        return 0
    cursor.execute(f"SELECT coalesce({_INDEXED}, 0)")
    cursor.execute(_NEW, {"above": cursor.fetchone()[0] - LATE})
    jobs = _insert(cursor, cursor.fetchall(), mask)
    cursor.execute("SELECT coalesce(max(attempt), 0) FROM jobs_search WHERE attempt > 0")
    cursor.execute(_ERRORS, {"above": cursor.fetchone()[0] - LATE})
    return max(jobs, _add_errors(cursor, cursor.fetchall()))


def _turn(cursor: Any) -> bool:
    """Whether no other process fills; until the end of the transaction none will, so that no insert meets a row of another."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", SEARCH)
    return bool(cursor.fetchone()[0])


def add_error(cursor: Any, job: int, error_class: str, message: str) -> None:
    """Let the job be found by an error that no attempt records; one that is not in the index yet will be, with its last error."""
    cursor.execute(_ADD, [_vector(_words_of_error(error_class, message)), job])


def repair(cursor: Any, above: int, mask: Mask) -> int | None:
    """Bring the rows of the next CHUNK numbers above this one in step with the jobs; where to go on, None after the last.
    Run it in a transaction.
    """
    if not _turn(cursor):
        return above
    cursor.execute(
        f"SELECT max(id) FROM (SELECT id FROM (SELECT id FROM jobs_job WHERE id > %(above)s ORDER BY id LIMIT {CHUNK}) a UNION ALL"
        f" SELECT job FROM (SELECT job FROM jobs_search WHERE job > %(above)s ORDER BY job LIMIT {CHUNK}) b"
        " ORDER BY 1 LIMIT %(most)s) part",
        {"above": above, "most": CHUNK},
    )
    last: int | None = cursor.fetchone()[0]
    if last is None:
        return None
    cursor.execute(
        "DELETE FROM jobs_search s WHERE job > %s AND job <= %s AND NOT EXISTS (SELECT 1 FROM jobs_job j WHERE j.id = s.job)", [above, last]
    )
    cursor.execute(_BLOCK, {"above": above, "last": last})
    _insert(cursor, cursor.fetchall(), mask)
    cursor.execute(f"{_NEWER_ERRORS} AND s.job > %s AND s.job <= %s ORDER BY a.id", [above, last])
    _add_errors(cursor, cursor.fetchall())
    return last


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """What the index has: `numbers` None means more than MOST; `behind`: some of the newest jobs were not looked at."""

    numbers: list[int] | None
    behind: bool


def find(query: str, mask: Mask) -> Hits:
    """The numbers of the jobs for a tsquery of `domain.words.query`."""
    with connections[configuration().database].cursor() as cursor:
        cursor.execute(_FIND, {"query": query})
        newest, many, hits = cursor.fetchone()
        numbers: list[int] = hits or []
        few = not many and len(numbers) <= MOST
        rows = _newest(cursor, newest or 0)
        if rows and few:
            numbers += _matching(cursor, rows, query, mask)
        return Hits(numbers=numbers if few and len(numbers) <= MOST else None, behind=len(rows) >= UNINDEXED)


def find_failed(query: str, mask: Mask) -> tuple[list[int], bool]:
    """The numbers of the jobs that failed in some run, for a tsquery, and whether these are all: else only what the index has not yet."""
    with connections[configuration().database].cursor() as cursor:
        cursor.execute(_FIND_FAILED, [query])
        newest, hits = cursor.fetchone()
        numbers: list[int] = hits or []
        every = len(numbers) <= MOST_FAILED
        rows = _newest(cursor, newest or 0)
        return (numbers if every else []) + (_matching(cursor, rows, f"{query} & {words.FAILED}", mask) if rows else []), every


def _newest(cursor: Any, indexed: int) -> list[Any]:
    cursor.execute(_NEWEST, {"above": indexed - LATE})
    return list(cursor.fetchall())


def _matching(cursor: Any, rows: Sequence[Sequence[Any]], query: str, mask: Mask) -> list[int]:
    """Those of these jobs, as _NEWEST reads them, that would be found if they were in the index."""
    vectors = []
    for *row, errors in rows:
        vectors.append(_vector(_words(row, mask) + _words_of_errors(json.loads(errors or "[]"))))
    cursor.execute(
        "SELECT job FROM unnest(%s::bigint[], %s::text[]) AS t (job, vector) WHERE vector::tsvector @@ %s::tsquery",
        [[row[0] for row in rows], vectors, query],
    )
    return [row[0] for row in cursor.fetchall()]


def _words(row: Sequence[Any], mask: Mask) -> list[str]:
    _, task, name, args, kwargs, created_by, last_error = row
    hidden = configuration().secret_patterns  # who may search must not be able to guess them, letter by letter
    found = words.words_of(task, name, mask(task, _read(args)), masked(_read(kwargs), hidden), created_by)
    error_class, colon, message = last_error.partition(": ")
    return list(dict.fromkeys(found + _words_of_error(error_class, message))) if colon else found


def _read(text: str) -> Any:
    try:
        return readable.loads(text) if len(text) <= _LONGEST else readable.beginning(text[:_LONGEST], _SPARE)
    except ValueError:  # anyone may have inserted it; such a job is found by its other words, and holds up no other one
        return None


def _words_of_error(error_class: str, message: str) -> list[str]:
    return words.words_of_error(error_class, masked_text(message[:_SPARE], configuration().secret_patterns))


def _words_of_errors(errors: Iterable[Sequence[str]]) -> list[str]:
    found: dict[str, None] = {}
    for error in errors:
        if len(found) < FULL:
            found.update(dict.fromkeys(_words_of_error(*error)))
    return list(found)


def _insert(cursor: Any, rows: Sequence[Sequence[Any]], mask: Mask) -> int:
    def insert(some: Sequence[Sequence[Any]]) -> None:
        execute_many(cursor, "INSERT INTO jobs_search (job, words) VALUES %s", [(row[0], _vector(_words(row, mask))) for row in some])

    def mark(row: Sequence[Any]) -> None:
        cursor.execute("INSERT INTO jobs_search (job, words) VALUES (%s, '')", [row[0]])

    if rows:
        _each(cursor, rows, insert, mark)
        cursor.execute(f"{_NEWER_ERRORS} AND s.job = ANY(%s) ORDER BY a.id", [[row[0] for row in rows]])
        _add_errors(cursor, cursor.fetchall())
    return len(rows)


def _add_errors(cursor: Any, rows: Sequence[Sequence[Any]]) -> int:
    errors: dict[int, list[Sequence[Any]]] = {}
    for row in rows:
        errors.setdefault(row[1], []).append(row)

    def add(some: Sequence[int]) -> None:
        execute_many(
            cursor,
            _ADD_MANY,
            [(job, errors[job][-1][0], _vector(_words_of_errors(error[2:] for error in errors[job]))) for job in some],
        )

    def mark(job: int) -> None:
        cursor.execute("UPDATE jobs_search SET attempt = %s WHERE job = %s", [errors[job][-1][0], job])

    if rows:
        _each(cursor, list(errors), add, mark)
    return len(rows)


def _each(cursor: Any, some: Sequence[Any], write: Callable[[Sequence[Any]], None], mark: Callable[[Any], None]) -> None:
    """Write them together. One whose words cannot be written is marked as done instead, and holds up no other one."""
    cursor.execute("SAVEPOINT words")
    try:
        write(some)
    except Exception as error:  # a value that PostgreSQL or our own code cannot take: halves show whose
        from jobs.store import engine  # which imports the verbs, and they this module

        cursor.execute("ROLLBACK TO SAVEPOINT words")
        if len(some) > 1:
            half = len(some) // 2
            _each(cursor, some[:half], write, mark)
            _each(cursor, some[half:], write, mark)
        elif engine.is_transient(error):
            raise
        else:
            logger.warning("Words of a job are left out of the index: %s", error)
            mark(some[0])
    cursor.execute("RELEASE SAVEPOINT words")


def _vector(some: Sequence[str]) -> str:
    """The words as a tsvector's text: no parser of PostgreSQL sees them."""
    return " ".join(map(words.quoted, some))
