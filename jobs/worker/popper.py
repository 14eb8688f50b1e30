"""Messages are taken from Redis by as many as there are free slots, from the highest lane that has any."""

import json
import logging
import time
from typing import Any

import redis
from redis.exceptions import ResponseError

from jobs.celery_app import signing
from jobs.domain.complaint import Complaint
from jobs.store.broker import Line, foreign_keys, is_foreign

logger = logging.getLogger("jobs.worker")
PAUSE_S = 0.25


class Popper:
    """Pops from the first list that has any: BLMPOP, or BRPOP where the server is older than Redis 7."""

    def __init__(self, client: Any, gathering: Any) -> None:
        self.client, self.line, self.many, self.gathering = client, Line(client), True, gathering
        self.complaint = Complaint(logger, "no messages are taken from these keys")

    def put_back(self, key: str, messages: list[Any]) -> None:
        """They were not taken. Should Redis be away, the leader sends them again."""
        try:
            self.client.rpush(key, *reversed(messages))
        except redis.RedisError as error:
            logger.info("messages could not be put back: %s", error)

    def close(self) -> None:
        """Disconnect; it connects again when it is next asked. The address may lead to another server by then."""
        self.line.close()
        self.client.connection_pool.disconnect()

    def pop(self, keys: list[str], most: int) -> tuple[str, list[Any]]:
        """The key and up to `most` messages; ("", []) when none came within a second, or there is nothing to pop from."""
        try:
            return self._pop(keys, most)
        except ResponseError as error:
            if not is_foreign(error):
                raise
        return self._pop(self._lists(keys), most)

    def _lists(self, keys: list[str]) -> list[str]:
        """Those that do not hold somebody else's value."""
        kinds = self.line.ask_all([("TYPE", key) for key in keys])
        foreign = [key for key, kind in zip(keys, kinds, strict=True) if kind not in (b"list", b"none")]
        if foreign:
            self.complaint.say(foreign_keys(foreign))
        return [key for key in keys if key not in foreign]

    def _pop(self, keys: list[str], most: int) -> tuple[str, list[Any]]:
        if not keys:  # every queue was cancelled: the worker is drained
            time.sleep(PAUSE_S)
            return "", []
        if self.many:
            count = (len(keys), *keys, "RIGHT", "COUNT", most)
            try:
                found = self.line.ask("LMPOP", *count) if self.gathering.open else None
                if not found:
                    self.gathering.end()
                    found = self.line.ask("BLMPOP", 1, *count)
            except ResponseError as error:
                if "unknown command" not in str(error).lower():
                    raise
                self.many = False
                return "", []
            return (found[0].decode(), found[1]) if found else ("", [])
        self.gathering.end()
        found = self.line.ask("BRPOP", *keys, 1)
        return (found[0].decode(), [found[1]]) if found else ("", [])


def read(text: Any) -> dict[str, Any] | None:
    """A message of Celery's form; None, with a line in the log, for anything else that lies in a lane."""
    try:
        message = json.loads(text.decode())  # of bytes it would guess the encoding
        whole = isinstance(message["headers"], dict) and isinstance(message["body"], str) and message["properties"]["delivery_tag"]
    except (ValueError, TypeError, KeyError, RecursionError):
        whole = None
    if not whole:
        logger.error("refused what is not a message: %r", text[:200])
    return message if whole else None


def is_alone(message: dict[str, Any]) -> bool:
    """Whether no other job may run beside this one: only this project may say so, for it keeps a worker's slots empty."""
    return bool(message["headers"].get("alone")) and signing.verify(message["headers"], message["body"])
