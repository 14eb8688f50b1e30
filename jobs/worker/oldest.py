"""Of a worker's queues the one whose next message is the oldest of the highest priority: for workers that serve more than one."""

import logging
from collections.abc import Sequence
from typing import Any, Final

from kombu.utils.scheduling import cycle_by_name
from redis.exceptions import NoPermissionError, ResponseError

from jobs.domain import priority
from jobs.worker.popper import Popper

logger = logging.getLogger("jobs.worker")
Taken = tuple[str, list[Any]]  # messages, behind the key of their list

# KEYS: lists, those of one lane side by side, the highest lane first. ARGV: how many a lane has, and how many messages are wanted.
# Answers the oldest messages of the highest lane that has any, each behind its key. What does not begin with its place, since another
# program has put it there, goes first. A key that holds no list is left to the complaint of who looks without this.
SCRIPT: Final = """
local function place_of_next(key)
  local text = redis.pcall('LINDEX', key, -1)
  if type(text) ~= 'string' then return nil end
  local due, id = string.match(text, '^{"place": %[([%d.]+), (%d+)%]')
  return {tonumber(due or 0), tonumber(id or 0)}
end
local width, most = tonumber(ARGV[1]), tonumber(ARGV[2])
for first = 1, #KEYS, width do
  local next, found = {}, {}
  for at = first, first + width - 1 do next[at] = place_of_next(KEYS[at]) end
  while #found < 2 * most do
    local oldest
    for at = first, first + width - 1 do
      local one, other = next[at], next[oldest or 0]
      if one and (not other or one[1] < other[1] or (one[1] == other[1] and one[2] < other[2])) then oldest = at end
    end
    if not oldest then break end
    found[#found + 1] = KEYS[oldest]
    found[#found + 1] = redis.call('RPOP', KEYS[oldest])
    next[oldest] = place_of_next(KEYS[oldest])
  end
  if #found > 0 then return found end
end
"""


class Lanes:
    """The lists that a worker looks into, the highest lane first."""

    def __init__(self, prefix: str, strategy: Any) -> None:
        self.prefix, self.is_by_age = prefix, not strategy
        self.queues: list[str] = []
        self._cycle = cycle_by_name(strategy or "round_robin")()
        self._keys: list[str] = []

    def serve(self, queues: Sequence[str]) -> None:
        """From now on these."""
        self.queues = list(queues)
        self._cycle.update(self.queues)
        self._put()

    def pop(self, popper: Popper, most: int) -> list[Taken]:
        """Up to `most` messages of the highest lane that has any, in the order in which they are next; none when none came in a second.

        Where several queues have messages in that lane the oldest, or those of one queue, as the project's own queue_order_strategy says.
        """
        if len(self.queues) < 2:
            return _as_taken(*popper.pop(self._keys, most))
        found = self._oldest(popper, most) if self.is_by_age else None
        if found:
            return [(key.decode(), [message]) for key, message in zip(found[::2], found[1::2], strict=True)]
        if self.is_by_age:  # what comes now may come into several lists: one, and the next look finds the oldest of the others
            popper.gathering.end()
            return _as_taken(*popper.pop(self._keys, 1))
        key, messages = popper.pop(self._keys, most)
        self._cycle.rotate(key.removeprefix(self.prefix).partition(priority.SEPARATOR)[0])
        self._put()
        return _as_taken(key, messages)

    def _oldest(self, popper: Popper, most: int) -> Any:
        try:
            return popper.line.ask("EVAL", SCRIPT, len(self._keys), *self._keys, len(self.queues), most)
        except ResponseError as error:
            if not isinstance(error, NoPermissionError) and "unknown command" not in str(error).lower():
                raise
            self.is_by_age = False
            logger.warning("queues of the same priority take turns, as this Redis runs no EVAL: %s", error)
            return None

    def _put(self) -> None:
        order = self._cycle.consume(len(self.queues))
        self._keys = [self.prefix + priority.lane_key(queue, lane) for lane in priority.LANES for queue in order]


def _as_taken(key: str, messages: list[Any]) -> list[Taken]:
    return [(key, messages)] if messages else []
