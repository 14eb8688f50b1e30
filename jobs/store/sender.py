"""Whose lanes lie in a Redis: a leader says its database's name there once a second, and everybody else can read it."""

import time
from typing import Any, Final

import redis

from jobs.conf import configuration
from jobs.store import broker, caller
from jobs.store.locks import LEADER_HELD

KEY: Final = "\0database"  # no lane: the name of a queue has no NUL
KEPT: Final = 30  # seconds that a leader's name stays in Redis after it was last said
PATIENCE: Final = 15.0  # seconds: one that was elected just now, or whose Redis was emptied, says it within one; one may evict it at times
APART: Final = 60.0  # seconds after which an earlier look proves nothing any more
TIMEOUT_S: Final = 0.5  # Redis may hang, and who asks has other things to do
# The same after a failover to a copy that follows it, another in a copy that was restored.
WHO: Final = "SELECT current_database() || ' of system ' || system_identifier FROM pg_control_system()"
_HOLDER: Final = f"SELECT min(l.pid) FROM pg_locks l WHERE {LEADER_HELD}"


def key() -> str:
    """Under which the name lies."""
    return configuration().key_prefix + KEY


def name(cursor: Any) -> str:
    """What a leader of this database says there."""
    cursor.execute(WHO)
    return str(cursor.fetchone()[0])


def holder(cursor: Any) -> int | None:
    """The leader's session, None where there is none."""
    cursor.execute(_HOLDER)
    found: int | None = cursor.fetchone()[0]
    return found


class Elsewhere:
    """Notices that the leader says its name in another Redis than this process knows, or under another prefix."""

    def __init__(self) -> None:
        self.holder: int | None = None  # the leader's session
        self.since = self.looked = 0.0  # monotonic: since when its name is missing, and when it was last looked for

    def look(self, holder: int | None, own: str, said: bytes | None, now: float) -> bool:
        """Whether it has been missing for PATIENCE. `holder`: the leader's session, None where there is none; `said`: what lies there."""
        is_missing = holder is not None and (said is None or said.decode("utf-8", "replace") != own)
        if not is_missing or holder != self.holder or now - self.looked > APART:
            self.since = now
        self.holder, self.looked = holder, now
        return is_missing and now - self.since >= PATIENCE


_seen: Final = Elsewhere()


def is_elsewhere() -> bool:
    """Whether the leader sends through another Redis than this process knows; False where Redis does not say."""
    try:
        said = broker.kept(TIMEOUT_S).get(key())
    except (redis.RedisError, OSError):
        return False
    with caller.cursor() as cursor:
        return _seen.look(holder(cursor), name(cursor), said, time.monotonic())
