"""The leader's way to Redis: open while it answers; when it does not, a thread asks until it does again."""

import logging
import threading
import time
from typing import Any, Final

import redis

from jobs.store import broker, outages

logger = logging.getLogger(__name__)

ANSWER: Final = 1.0  # seconds; a leader silent towards PostgreSQL for two of them is replaced
EACH: Final = 0.25  # seconds between two questions
TELL: Final = 10.0  # seconds between two lines in the log
REFUSED: Final = 5.0  # seconds after which one that was not refused again has nothing to send, or is taken from


class Link:
    """A line, and whether its server answers. The leader goes on without Redis; only publishing waits."""

    def __init__(self, conf: Any) -> None:
        self.conf = conf  # of the Celery app
        self.line = broker.Line(broker.of(conf, ANSWER))
        self.answers = threading.Event()
        self.closed = threading.Event()
        self.told = -TELL
        self.away_since: float | None = None  # monotonic: since when no question has been answered
        self.refusal = ""  # what an answer said that was no connection's fault: full, a replica, its disk
        self.refused_since: float | None = None  # monotonic
        self.refused_at = 0.0
        self.wanted = threading.Event()  # somebody who asks; the thread is there from the start: later there may be none to be had
        self.wanted.set()
        threading.Thread(target=self._run, daemon=True, name="jobs-redis").start()

    @property
    def is_open(self) -> bool:
        """Whether the last command, or the last question since, was answered."""
        return self.answers.is_set()

    def lost(self, error: redis.RedisError) -> None:
        """A command failed: nothing is published until Redis answers again, over a connection made anew."""
        self.line.close()  # one that refuses keeps its connections: a replica now, while the address leads to another server
        if isinstance(error, redis.ResponseError):
            self.refused(error)
        now = time.monotonic()
        if now - self.told >= TELL:  # one that is full answers, and refuses again
            self.told = now
            logger.warning("Redis is not accepting messages (%s); jobs wait in PostgreSQL until it does", error)
        self.answers.clear()
        self.wanted.set()

    def refused(self, error: redis.ResponseError) -> None:
        """It answers, and takes some messages or all of them not."""
        now = time.monotonic()
        if self.refused_since is None or now - self.refused_at >= REFUSED:
            self.refused_since = now
        self.refusal, self.refused_at = str(error), now

    def taken(self) -> None:
        """Redis has taken a message."""
        self.refused_since = None

    def trouble(self, now: float) -> tuple[str, float] | None:
        """The part that is to be noted as away, and since when; times are monotonic."""
        if self.away_since is not None:
            return outages.REDIS, self.away_since
        if self.refused_since is not None and now - self.refused_at < REFUSED:
            return outages.REFUSING + self.refusal, self.refused_since
        return None

    def close(self) -> None:
        """Ask no more."""
        self.closed.set()
        self.wanted.set()
        self.line.close()

    def _run(self) -> None:
        while self.wanted.wait() and not self.closed.is_set():
            self.wanted.clear()
            self._until_it_answers()

    def _until_it_answers(self) -> None:
        begun = time.monotonic()
        with broker.of(self.conf, ANSWER) as client:
            while not self.closed.wait(EACH):
                try:
                    client.ping()
                except redis.ResponseError as error:  # it answers: its last snapshot failed, say
                    self.away_since = None
                    self.refused(error)
                    continue
                except redis.RedisError:
                    self.away_since = begun
                    continue
                self.away_since = None
                self.answers.set()
                return
