"""Chords that count, saved groups, and results of ids that no job has. All of it runs in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.store.tell import tell

_OTHER_ENDS: Final = ("SUCCESS", "FAILURE")  # than a revocation
_SUCCESS: Final = '{"state": "SUCCESS",%'  # how a result begins that was set by hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How one header task of a chord ended; `result` is JSON text, `place` its index in the header (None: as it came)."""

    chord: str
    task_id: str
    place: int | None
    state: str
    result: str
    failed: bool


def set_size(cursor: Any, chord: str, size: int) -> None:
    """How many header tasks there are. A chord that is sent again is a new one; after it has fired it counts from the beginning."""
    cursor.execute(
        """DELETE FROM jobs_chordpart p USING jobs_chord c WHERE c.id = %(id)s AND p.chord_id = c.id AND c.fired_at IS NOT NULL""",
        {"id": chord},
    )
    cursor.execute(
        """INSERT INTO jobs_chord AS c (id, size) VALUES (%(id)s, %(size)s) ON CONFLICT (id) DO UPDATE SET size = excluded.size,
             done = CASE WHEN c.fired_at IS NULL THEN c.done ELSE 0 END, failed = CASE WHEN c.fired_at IS NULL THEN c.failed ELSE 0 END,
             fired_at = NULL, created_at = clock_timestamp()""",
        {"id": chord, "size": size},
    )


def add_to_size(cursor: Any, chord: str) -> None:
    """One header task more than were counted when the chord was sent."""
    cursor.execute("UPDATE jobs_chord SET size = size + 1 WHERE id = %s", [chord])


def count(cursor: Any, parts: Sequence[Part]) -> list[tuple[str, bool]]:
    """Count ended header tasks; each once. The chords that are complete by it, now marked as fired, with whether a task failed.

    A failed task that was run again and succeeded counts as a success; when no failure is left, its chord fires again.
    """
    latest = {(part.chord, part.task_id): part for part in parts}
    chords = _lock(cursor, sorted({chord for chord, _ in latest}))
    fired = []
    for chord, (size, done, failed, was_fired) in chords.items():
        if was_fired and not failed:
            continue
        more, change = _add(cursor, [part for part in latest.values() if part.chord == chord])
        done, left = done + more, failed + change
        fires = size is not None and done >= size and (not was_fired or (failed > 0 and left == 0))
        cursor.execute(
            "UPDATE jobs_chord SET done = %s, failed = %s, fired_at = CASE WHEN %s THEN clock_timestamp() ELSE fired_at END WHERE id = %s",
            [done, left, fires, chord],
        )
        if fires:
            fired.append((chord, left > 0))
    return fired


def _lock(cursor: Any, chords: list[str]) -> dict[str, tuple[int | None, int, int, bool]]:
    cursor.execute(
        """INSERT INTO jobs_chord AS c (id) SELECT unnest(%s::text[]) ON CONFLICT (id) DO UPDATE SET size = c.size
           RETURNING id, size, done, failed, fired_at IS NOT NULL""",
        [chords],
    )
    return {row[0]: row[1:] for row in cursor.fetchall()}


def _add(cursor: Any, parts: Sequence[Part]) -> tuple[int, int]:
    """How many parts are new, and by how many the number of failures changes."""
    cursor.execute(
        """INSERT INTO jobs_chordpart AS p (chord_id, task_id, place, state, result)
           SELECT %s, task_id, place, state, result::json FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[])
               AS given (task_id, place, state, result)
           ON CONFLICT (chord_id, task_id) DO UPDATE SET state = excluded.state, result = excluded.result, ended_at = clock_timestamp()
               WHERE p.state <> 'SUCCESS'
           RETURNING task_id, xmax = 0""",
        [parts[0].chord, [p.task_id for p in parts], [p.place for p in parts], [p.state for p in parts], [p.result for p in parts]],
    )
    failed = {part.task_id: part.failed for part in parts}
    rows = cursor.fetchall()
    more = sum(new for _, new in rows)
    change = sum(failed[task_id] if new else failed[task_id] - 1 for task_id, new in rows)
    return more, change


def parts(cursor: Any, chord: str) -> list[tuple[str, str, str]]:
    """(task_id, state, result as JSON text) of the header, in its order."""
    cursor.execute(
        "SELECT task_id, state, result::text FROM jobs_chordpart WHERE chord_id = %s ORDER BY place NULLS LAST, ended_at, task_id", [chord]
    )
    return list(cursor.fetchall())


def drop_parts(cursor: Any, chord: str) -> None:
    """The body has been sent with their results."""
    cursor.execute("DELETE FROM jobs_chordpart WHERE chord_id = %s", [chord])


def save_group(cursor: Any, group: str, header: str) -> None:
    """Keep a GroupResult, as JSON text."""
    cursor.execute(
        """INSERT INTO jobs_savedgroup (id, header) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE
             SET header = excluded.header, saved_at = clock_timestamp()""",
        [group, header],
    )


def saved_group(cursor: Any, group: str) -> str | None:
    """The kept GroupResult as JSON text; None when there is none."""
    cursor.execute("SELECT header::text FROM jobs_savedgroup WHERE id = %s", [group])
    row = cursor.fetchone()
    return row[0] if row else None


def delete_group(cursor: Any, group: str) -> None:
    """Drop a kept GroupResult."""
    cursor.execute("DELETE FROM jobs_savedgroup WHERE id = %s", [group])


def store_result(cursor: Any, task_id: str, state: str, result: str, traceback: str | None) -> None:
    """Keep the result (JSON text) of an id that no job has. It replaces no success, as in Celery, and a revocation, of which a worker heard
    before, no other end.
    """
    cursor.execute(
        f"""WITH stored AS (INSERT INTO jobs_storedresult AS known (task_id, state, result, traceback) VALUES (%s, %s, %s, %s)
              ON CONFLICT (task_id) DO UPDATE SET state = excluded.state, result = excluded.result, traceback = excluded.traceback,
                stored_at = clock_timestamp()
                WHERE known.state <> 'SUCCESS' AND (excluded.state <> 'REVOKED' OR known.state <> ALL(%s)) RETURNING task_id)
            SELECT {tell("task_id")} FROM stored""",
        [task_id, state, result, traceback, list(_OTHER_ENDS)],
    )


def report_state(cursor: Any, task_id: str, progress: str) -> bool:
    """A state of its own for a job that has not ended (JSON text); False when there is no such job."""
    cursor.execute(
        f"""WITH told AS (UPDATE jobs_job SET progress = %s WHERE task_id = %s AND status IN ('pending', 'running') RETURNING task_id)
            SELECT {tell("task_id")} FROM told""",
        [progress, task_id],
    )
    return bool(cursor.rowcount)


def overwrite(cursor: Any, task_id: str, meta: str) -> bool:
    """Another result for a job that has ended, set by hand (JSON text); False when there is no such job, or it shows a success, which stays
    as in Celery. A value that was not kept, or is forgotten, is none.
    """
    cursor.execute(
        f"""WITH told AS (UPDATE jobs_job SET result_meta = %s WHERE task_id = %s AND status IN ('completed', 'failed', 'cancelled')
              AND NOT (status = 'completed' AND result IS NOT NULL) AND (result_meta IS NULL OR result_meta::text NOT LIKE %s)
              RETURNING task_id) SELECT {tell("task_id")} FROM told""",
        [meta, task_id, _SUCCESS],
    )
    return bool(cursor.rowcount)


def exists(cursor: Any, task_id: str) -> bool:
    """Whether a job has this id."""
    cursor.execute("SELECT 1 FROM jobs_job WHERE task_id = %s", [task_id])
    return cursor.fetchone() is not None


def forget(cursor: Any, task_id: str, meta: str) -> None:
    """Drop a result; the job itself stays. `meta` says so to later readers."""
    cursor.execute("DELETE FROM jobs_storedresult WHERE task_id = %s", [task_id])
    cursor.execute(
        """UPDATE jobs_job SET result = NULL, result_meta = %s WHERE task_id = %s AND status IN ('completed', 'failed', 'cancelled')""",
        [meta, task_id],
    )


# A chord that fired with an error fires again once its header has been run again, and its shape is that of its saved group: what nothing
# will fire any more is dropped by `jobs.store.unfired`.
_KEPT: Final = (
    ("jobs_chord", "fired_at", "id", "failed = 0"),
    ("jobs_savedgroup", "saved_at", "id",
     "NOT EXISTS (SELECT FROM jobs_chord c WHERE c.id = jobs_savedgroup.id AND (c.fired_at IS NULL OR c.failed > 0))"),
    ("jobs_storedresult", "stored_at", "task_id", "true"),
)  # fmt: skip


def prune(cursor: Any, older: float) -> int:
    """Remove what was kept for more than `older` seconds: fired chords, saved groups, stored results. How many rows."""
    total = 0
    for table, column, key, done in _KEPT:
        cursor.execute(
            f"""DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table}
                  WHERE {column} < statement_timestamp() - make_interval(secs => %s) AND {done} LIMIT 500) RETURNING {key}""",
            [older],
        )
        keys = [row[0] for row in cursor.fetchall()]
        total += len(keys)
        if table == "jobs_chord" and keys:
            cursor.execute("DELETE FROM jobs_chordpart WHERE chord_id = ANY(%s)", [keys])
    return total


def revoke_unknown(cursor: Any, task_id: str, result: str) -> bool:
    """Keep that an id was revoked before a job has it; False where it has another end already, which stays. The leader sees to a job that
    has it by then, but is not committed yet (jobs.store.revoked)."""
    cursor.execute(
        f"""WITH stored AS (INSERT INTO jobs_storedresult (task_id, state, result, unseen_before)
              VALUES (%(id)s, 'REVOKED', %(result)s, 0)
              ON CONFLICT DO NOTHING RETURNING task_id)
            SELECT (SELECT state FROM jobs_storedresult WHERE task_id = %(id)s), (SELECT {tell("task_id")} FROM stored)""",
        {"id": task_id, "result": result},
    )
    return cursor.fetchone()[0] not in _OTHER_ENDS
