"""What tasks and signals tell the programs, in Redis beside whatever the queues keep there."""

import json
import os
import time

import redis

_client = redis.Redis.from_url(os.environ["NOTES_URL"], decode_responses=True)
_PREFIX = f"notes:{os.environ['SAME']}:"


def note(key, value):
    _client.rpush(_PREFIX + str(key), json.dumps(value, default=repr))


def noted(key, count=1, timeout=15):
    """What was noted, after waiting for so many notes."""
    end = time.monotonic() + timeout
    while _client.llen(_PREFIX + str(key)) < count and time.monotonic() < end:
        time.sleep(0.02)
    return [json.loads(text) for text in _client.lrange(_PREFIX + str(key), 0, -1)]
