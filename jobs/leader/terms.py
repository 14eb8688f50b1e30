"""Terms of office, one after the other: a lost connection to PostgreSQL ends one, and the next begins with an election.

A table that somebody keeps locked ends none: the leader keeps its session and its lock, and believes nothing of what it knew before.
"""

import contextlib
import logging
import random
import threading
from typing import Any

import psycopg2
from celery import current_app

from jobs.domain.complaint import Complaint
from jobs.leader import batches, election, indexing, notices, prune
from jobs.leader.dispatch import Leader
from jobs.leader.link import Link
from jobs.leader.load import Load
from jobs.store import pooler
from jobs.store.absent import Absent
from jobs.store.engine import LOCKED
from jobs.store.pooler import PoolerBetween
from jobs.store.schema import wait_until_migrated

logger = logging.getLogger(__name__)


def run(stop: threading.Event) -> None:
    """Lead or stand by until `stop` is set. A lost connection to PostgreSQL is one line in the log, then everything starts over.

    Raises PoolerBetween where no lock could be held.
    """
    if not wait_until_migrated(logger.error, lambda: stop.wait(1.0)):
        return
    load = Load()
    for target in (prune.run, notices.run, batches.run, indexing.run):
        threading.Thread(target=target, args=(stop, load), daemon=True).start()
    link = Link(current_app.conf)
    again, complaint = False, Complaint(logger, "The leader starts over")
    while not stop.is_set():
        try:
            _term(link, load, stop, complaint, again=again)
        except (psycopg2.Error, OSError) as error:
            again = True
            complaint.say(error)
            stop.wait(random.uniform(0.2, 0.8))
        except PoolerBetween:
            raise
        except Exception:  # a leader that ends would leave every job waiting
            logger.exception("The leader starts over")
            stop.wait(random.uniform(0.5, 2.0))
    link.close()


def _term(link: Link, load: Load, stop: threading.Event, complaint: Complaint, *, again: bool) -> None:
    connection = election.connect()
    try:
        pooler.refuse(connection)
        with contextlib.closing(Absent(link.conf)) as absent:
            is_elected = election.elect(connection, stop, absent.look)
        if is_elected:
            logger.info("This process is the leader now")
            load.leads = True
            while not stop.is_set():
                again = _lead(connection, link, load, stop, complaint, again=again)
    finally:
        load.clear()
        with contextlib.suppress(Exception):
            connection.close()


def _lead(connection: Any, link: Link, load: Load, stop: threading.Event, complaint: Complaint, *, again: bool) -> bool:
    """Until told to stop, or until somebody keeps a table locked: True then, and what the session has kept for the leader is undone."""
    try:
        Leader(connection, link, load, again=again).serve(stop)
    except LOCKED as error:
        complaint.say(error)
        election.begin_anew(connection)
        load.crowded = False
        stop.wait(random.uniform(0.2, 0.8))
        return True
    return again
