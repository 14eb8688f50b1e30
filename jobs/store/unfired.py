"""Chords that nothing will ever fire: their header was never sent whole, or somebody has deleted jobs of it."""

from typing import Any, Final

from jobs.store.replaced import LIVE, MOST
from jobs.store.transitions import ESCAPED

# A header task that has not ended, or will be sent, says the chord's id: in its message, in the chain or the chord of another one's.
_UNFIRED: Final = f"""
WITH asked AS MATERIALIZED (
  SELECT id FROM jobs_chord c WHERE fired_at IS NULL AND created_at < clock_timestamp() - make_interval(secs => %(seconds)s)
     AND id > %(after)s AND NOT id {ESCAPED}
     AND NOT EXISTS (SELECT FROM jobs_chordpart p
                      WHERE p.chord_id = c.id AND p.ended_at > clock_timestamp() - make_interval(secs => %(seconds)s))
   ORDER BY id LIMIT {MOST}),{LIVE}
SELECT id, EXISTS (SELECT FROM live WHERE strpos(said, asked.id) > 0) FROM asked ORDER BY 1"""
# One that was sent again meanwhile is new.
_DROP: Final = """
WITH gone AS (DELETE FROM jobs_chord WHERE id = ANY(%(ids)s) AND fired_at IS NULL
                 AND created_at < clock_timestamp() - make_interval(secs => %(seconds)s) RETURNING id),
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
