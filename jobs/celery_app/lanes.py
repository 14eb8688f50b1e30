"""What lies in Redis now: read only, for people."""

import json
from typing import Any

import redis
from django.conf import settings

from jobs.conf import configuration
from jobs.domain.priority import lane_key, lane_of
from jobs.store import broker

TIMEOUT_S = 2  # a page does not wait longer than this


def place_of(job: int, queue: str, priority: int) -> int | None:
    """The job's place in its lane, 1 goes next; 0 when it is not there, None when Redis does not answer."""
    key = configuration().key_prefix + lane_key(queue, lane_of(priority))
    try:
        with broker.client(settings.CELERY_BROKER_URL, timeout=TIMEOUT_S) as client:
            messages: Any = client.lrange(key, 0, -1)
    except (redis.RedisError, OSError):
        return None
    numbers = [_job(message) for message in reversed(messages)]  # pushed at the front, taken from the end
    return numbers.index(job) + 1 if job in numbers else 0


def _job(message: bytes) -> int | None:
    try:
        number = json.loads(message)["headers"]["job_id"]
    except (ValueError, TypeError, KeyError):
        return None  # not one of ours
    return number if isinstance(number, int) else None
