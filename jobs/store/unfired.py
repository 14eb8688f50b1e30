"""Chords that nothing will ever fire (again): their header was not sent whole, or jobs of it that have not completed are gone."""

from typing import Any, Final

from jobs.store.replaced import MOST
from jobs.store.transitions import ESCAPED, LINKED

# A header task that has not completed, or will be sent, says the chord's id: in its message, in the chain or the chord of another one's.
# What has failed or was cancelled may be run again; nearly always the row of a part that failed tells. All is seen at one moment: an end
# and what it sends are one transaction. What has not completed is read once for all of them.
_UNFIRED: Final = f"""
WITH asked AS MATERIALIZED (
  SELECT id, EXISTS (SELECT FROM jobs_chordpart p JOIN jobs_job j ON j.task_id = p.task_id
                      WHERE p.chord_id = c.id AND p.state <> 'SUCCESS') AS waits
    FROM jobs_chord c
   WHERE (fired_at IS NULL AND created_at < clock_timestamp() - make_interval(secs => %(seconds)s) AND NOT id {ESCAPED}
          OR failed > 0 AND fired_at < clock_timestamp() - make_interval(secs => %(seconds)s))
     AND id > %(after)s
     AND NOT EXISTS (SELECT FROM jobs_chordpart p
                      WHERE p.chord_id = c.id AND p.ended_at > clock_timestamp() - make_interval(secs => %(seconds)s))
   ORDER BY id LIMIT {MOST}),
others AS MATERIALIZED (
  SELECT options::text AS said FROM jobs_job WHERE status <> 'completed' AND EXISTS (SELECT FROM asked) AND {LINKED})
SELECT id, waits OR EXISTS (SELECT FROM others WHERE strpos(said, asked.id) > 0) FROM asked ORDER BY 1"""
# One that was sent again meanwhile is new.
_DROP: Final = """
WITH gone AS (DELETE FROM jobs_chord WHERE id = ANY(%(ids)s) AND (fired_at IS NULL OR failed > 0)
                 AND coalesce(fired_at, created_at) < clock_timestamp() - make_interval(secs => %(seconds)s) RETURNING id),
     parts AS (DELETE FROM jobs_chordpart p USING gone WHERE p.chord_id = gone.id)
SELECT count(*) FROM gone"""


def drop(cursor: Any, seconds: float, after: str = "") -> tuple[int, str]:
    """Remove those of the next MOST after this id that wait for nothing, and to which nothing has happened for so many seconds: how many,
    and after which to go on, "" after the last.
    """
    cursor.execute(_UNFIRED, {"seconds": seconds, "after": after})
    found = cursor.fetchall()
    forsaken = [id for id, waits in found if not waits]
    number = 0
    if forsaken:
        cursor.execute(_DROP, {"ids": forsaken, "seconds": seconds})
        number = cursor.fetchone()[0]
    return number, found[-1][0] if len(found) == MOST else ""
