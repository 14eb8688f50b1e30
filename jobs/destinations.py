"""Which queue a call goes to that names an exchange: what the broker's bindings would do, from the app's `task_queues`."""

import re
from functools import lru_cache
from typing import Any

from kombu.common import Broadcast


def queue_of(app: Any, queue: Any, exchange: Any, routing_key: str | None) -> str:
    """The name of the queue of a call with these options. Raises ValueError for a broadcast, which is no job.

    Of several queues that a topic exchange would fill, the given one when it is among them, else the first: a job is run once.
    """
    if isinstance(queue, str):
        queue = app.amqp.queues.get(queue) or app.amqp.queues.aliases.get(queue) or queue
    if isinstance(queue, Broadcast):
        raise ValueError(f"{queue.alias!r} is a broadcast to every worker, and a job is run once: use app.control.broadcast")
    own = getattr(queue, "exchange", None)
    name = getattr(exchange, "name", exchange) or (own.name if own is not None and own.type == "topic" else "")
    key = routing_key or getattr(queue, "routing_key", None)
    found = [each.name for each in app.amqp.queues.values() if _is_bound(each, name, key)] if name and key else []
    given = getattr(queue, "name", queue)
    if found:
        return str(given if given in found else found[0])
    return str(given or routing_key or app.conf.task_default_queue)


def _is_bound(queue: Any, exchange: str, routing_key: str) -> bool:
    if queue.exchange is None or queue.exchange.name != exchange or isinstance(queue, Broadcast):
        return False
    if queue.exchange.type == "topic":
        return _pattern(queue.routing_key or "").fullmatch(routing_key) is not None
    return queue.exchange.type == "fanout" or queue.routing_key == routing_key


@lru_cache(maxsize=256)
def _pattern(binding: str) -> re.Pattern[str]:
    """kombu's reading of `*` (one word) and `#` (any words)."""
    return re.compile(r"\.".join({"*": r"[^\.]+", "#": ".*?"}.get(word, re.escape(word)) for word in binding.split(".")))
