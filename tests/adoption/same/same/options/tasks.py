"""Tasks for them."""

import logging
import os
import signal
import time

from celery import shared_task
from celery.utils.log import get_task_logger

from ..notes import note, noted

logger = get_task_logger(__name__)


@shared_task
def says(word):
    logger.info("says %s", word)
    logger.debug("never %s", word)
    return [logger.name, logger.parent.name, logging.getLogger("celery").propagate]


@shared_task
def child():
    time.sleep(0.1)
    return os.getpid()


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True)
def dies_once(self):
    note(f"died {self.request.id}", 1)
    if len(noted(f"died {self.request.id}")) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


@shared_task(bind=True, ignore_result=True)
def fails_unread(self):
    raise ValueError("kept")


@shared_task(bind=True, priority=3)
def priorities(self, depth):
    if depth:
        priorities.delay(depth - 1)
    note(f"priorities {self.request.root_id}", self.request.delivery_info["priority"])
