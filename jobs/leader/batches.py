"""The thread that goes on with what people asked for many jobs at once."""

import logging
import threading
from typing import Final

from django.conf import settings
from django.db import close_old_connections, connections, reset_queries
from django.utils import translation

from jobs import batches
from jobs.domain.complaint import Complaint
from jobs.leader.load import Load

logger = logging.getLogger(__name__)

EACH: Final = 0.5  # seconds


def run(stop: threading.Event, load: Load) -> None:
    """Step by step while the leader sees any, until told to stop."""
    complaint = Complaint(logger, "Batches")
    while not stop.is_set():
        if not load.acts.wait(EACH):
            continue
        try:
            with translation.override(settings.LANGUAGE_CODE):
                goes_on = True
                while goes_on and not stop.is_set():
                    goes_on = batches.go_on()
                    reset_queries()  # with DEBUG Django keeps thousands of statements, and these name hundreds of jobs each
            stop.wait(EACH)
        except Exception as error:  # a server that is away, missing tables: the thread must outlive it
            complaint.say(error)
            connections.close_all()
            stop.wait(5.0)
        finally:
            close_old_connections()
    connections.close_all()
