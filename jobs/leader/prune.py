"""Ended jobs are removed after JOBS_RETENTION_DAYS, and jobs that nothing would end any more are ended."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Final

from jobs.conf import configuration
from jobs.domain import own_failures
from jobs.domain.complaint import Complaint
from jobs.leader.load import Load
from jobs.store import canvas, engine, interventions, removal, replaced, unfired

logger = logging.getLogger(__name__)

EACH: Final = 60.0  # seconds
STANDBY: Final = 1.0  # seconds between two looks whether this process leads
BATCH: Final = 500
FORSAKEN: Final = 600.0  # seconds that a replaced job is held before it is asked whether anything will end it
SHARE: Final = 50  # asking, also for chords that nothing fires, reads all that waits: it may take one part in so many of the time
AT_A_TIME: Final = 0.5  # seconds of asking, and the question that has begun
# statement_timestamp() bounds the index scan; clock_timestamp() would read all that has ended.
_ORDER: Final = f" ORDER BY j.finished_at LIMIT {BATCH}"
_OLD = f"""
SELECT id, finished_at::text FROM jobs_job j WHERE status = %s AND finished_at >= %s
   AND finished_at < statement_timestamp() - make_interval(secs => %s)
   AND NOT EXISTS (SELECT 1 FROM jobs_deadletterqueue d WHERE d.job_id = j.id AND d.resolution = 'open')
{_ORDER}"""
_BATCHES = """DELETE FROM jobs_batch WHERE ended_at < clock_timestamp() - make_interval(secs => %s)
                OR (state = 'draft' AND created_at < clock_timestamp() - interval '1 day')"""
_staying: Final = Complaint(logger, "An ended job cannot be removed, and stays")


def prune(connection: Any, stop: threading.Event, places: dict[str, str] | None = None) -> int:
    """Remove what is old enough, in batches; how many were removed. `places`: where, of each status, this call has stopped;
    the next that is given the same goes on behind.
    """
    total, places = 0, {} if places is None else places
    with connection.cursor() as cursor:
        old_ones = _OLD.replace(_ORDER, removal.unreferred(cursor) + _ORDER)
        delete = partial(interventions.delete_ended, cursor)
        for status in ("completed", "cancelled", "failed"):
            while not stop.is_set():
                cursor.execute(old_ones, [status, places.get(status, "-infinity"), configuration().retention_days * 86400])
                old = cursor.fetchall()
                gone = removal.remove([id for id, _finished_at in old], delete, lambda _id, error: _staying.say(error))
                total += len(gone)
                if len(old) < BATCH:
                    places.pop(status, None)
                    break
                places[status] = old[-1][1]  # those that stay, which may be many, are not passed again
                if not gone:  # to find that out may have been dear
                    break
        cursor.execute(_BATCHES, [configuration().retention_days * 86400])
        while not stop.is_set():
            number = canvas.prune(cursor, configuration().retention_days * 86400)
            total += number
            if not number:
                break
    return total


def bury_forsaken(connection: Any, seconds: float) -> None:
    """End the replaced jobs that are held for so long and that nothing would end."""
    with connection.cursor() as cursor:
        for id in replaced.bury_forsaken(cursor, seconds):
            logger.critical("Job %s is buried: %s", id, own_failures.REPLACEMENT_ENDED)


def drop_unfired(connection: Any, after: str) -> str:
    """Remove chords that nothing would fire, for a moment; after which to go on."""
    total, end = 0, time.monotonic() + AT_A_TIME
    with connection.cursor() as cursor:
        while True:
            number, after = unfired.drop(cursor, max(configuration().retention_days, 1) * 86400, after)
            total += number
            if not after or time.monotonic() > end:
                break
    if total:
        logger.info("Pruned %s chords that nothing would fire", total)
    return after


def run(stop: threading.Event, load: Load) -> None:
    """The thread: once a minute while this process leads, until told to stop."""
    complaint, next_look, place, places = Complaint(logger, "Prune"), 0.0, "", dict[str, str]()
    while not stop.is_set():
        if not load.leads:
            stop.wait(STANDBY)
            continue
        with _outlived(complaint), closing(engine.connect("jobs prune")) as connection:
            with _outlived(complaint):
                if number := prune(connection, stop, places):
                    logger.info("Pruned %s ended jobs", number)
            if (begun := time.monotonic()) >= next_look:
                with _outlived(complaint):
                    bury_forsaken(connection, FORSAKEN)
                with _outlived(complaint):
                    place = drop_unfired(connection, place)
                next_look = begun + SHARE * (time.monotonic() - begun)
        stop.wait(EACH)


@contextmanager
def _outlived(complaint: Complaint) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a server that is away, one part that is refused: the thread and the other parts must outlive it
        complaint.say(error)
