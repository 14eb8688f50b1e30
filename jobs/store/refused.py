"""That PostgreSQL refuses what workers write: written by workers, read by the pages. In Redis, for PostgreSQL takes nothing just then."""

import json
from datetime import timedelta
from typing import Any, Final

import redis

from jobs.conf import configuration
from jobs.domain.moments import aware
from jobs.store import broker
from jobs.store.clock import reckoned
from jobs.store.outages import Refusal

FRESH: Final = 15.0  # seconds: what no worker has met for longer is over
TIMEOUT_S: Final = 1.0  # Redis may be away as well, and the one who tells it has other things to do
_UNREADABLE: Final = (redis.RedisError, OSError, ValueError, TypeError)  # it is away, or somebody has put something else there


def note(reason: str, seconds: float, *, all_writes: bool) -> None:
    """It has been refusing for `seconds`; what another worker told of the same time stands. Where Redis is away, only the log says so.

    `all_writes`: it would refuse whatever is written, not what a trigger says of some rows.
    """
    try:
        client, key = broker.kept(TIMEOUT_S), _key(all_writes)
        if found := _found(client, key):
            seconds = max(seconds, found[1])
        client.set(key, json.dumps([reason, seconds]), px=int(FRESH * 1000))
    except _UNREADABLE:
        pass


def newest(*, some: bool = True) -> Refusal | None:
    """What workers were refused lately, also what is refused for `some` rows alone; None where there is nothing, or Redis does not say."""
    try:
        client = broker.kept(TIMEOUT_S)
        found = _found(client, _key(True)) or (_found(client, _key(False)) if some else None)
    except _UNREADABLE:
        return None
    return Refusal(since=aware(reckoned()) - timedelta(seconds=found[1]), reason=found[0]) if found else None


def _found(client: Any, key: str) -> tuple[str, float] | None:
    """What it says, and for how many seconds it has been saying so: by the clock of Redis alone."""
    with client.pipeline(transaction=False) as pipeline:
        text, left = pipeline.get(key).pttl(key).execute()
    if text is None or left < 0:
        return None
    reason, seconds = json.loads(text)
    return str(reason), float(seconds) + FRESH - left / 1000


def _key(all_writes: bool) -> str:
    return f"{configuration().key_prefix}refused{'' if all_writes else ':some'}"
