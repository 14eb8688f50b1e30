"""What lies in Redis now: read only, for people."""

import json
from collections.abc import Sequence
from typing import Any

import redis
from celery import current_app

from jobs.conf import configuration
from jobs.domain.priority import FROM_HIGHEST, lane_key, lane_of
from jobs.store import broker

TIMEOUT_S = 2  # a page does not wait longer than this


def place_of(job: int, queue: str, priority: int) -> int | None:
    """The job's place in its lane, 1 goes next; 0 when it is not there, None when Redis does not answer.

    What somebody else keeps under the lane's name is no message: the leader complains of it.
    """
    key = configuration().key_prefix + lane_key(queue, lane_of(priority))
    try:
        with broker.of(current_app.conf, TIMEOUT_S) as client:
            messages: Any = client.lrange(key, 0, -1)
    except (redis.RedisError, OSError) as error:
        return 0 if isinstance(error, redis.RedisError) and broker.is_foreign(error) else None
    numbers = [_job(message) for message in reversed(messages)]  # pushed at the front, taken from the end
    return numbers.index(job) + 1 if job in numbers else 0


def lengths(queues: Sequence[str]) -> dict[tuple[str, int], int] | None:
    """How many messages lie in each lane of these queues, by (queue, priority); None when Redis does not answer."""
    lanes = [(queue, priority) for queue in queues for priority in FROM_HIGHEST]
    if not lanes:
        return {}
    prefix = configuration().key_prefix
    try:
        with broker.of(current_app.conf, TIMEOUT_S) as client, client.pipeline(transaction=False) as pipeline:
            for queue, priority in lanes:
                pipeline.llen(prefix + lane_key(queue, lane_of(priority)))
            found = pipeline.execute(raise_on_error=False)
    except (redis.RedisError, OSError):
        return None
    if any(isinstance(answer, redis.RedisError) and not broker.is_foreign(answer) for answer in found):
        return None
    return {lane: answer if isinstance(answer, int) else 0 for lane, answer in zip(lanes, found, strict=True)}


def _job(message: bytes) -> int | None:
    try:
        number = json.loads(message)["headers"]["job_id"]
    except (ValueError, TypeError, KeyError):
        return None  # not one of ours
    return number if isinstance(number, int) else None
