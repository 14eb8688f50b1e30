"""Counts the messages that anybody pushes into a Redis, by listening to its MONITOR."""

import re
import threading
from collections import Counter
from types import TracebackType

from jobs.store import broker

_MESSAGE = re.compile(r'"job_id": (\d+).*?"runs": (\d+)')
_END = "no more pushes are counted"


class Pushes:
    """While its block runs: how often a message for each (job, run) was pushed."""

    def __init__(self, broker_url: str) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self.client = broker.client(broker_url, timeout=60)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.listens = threading.Event()

    @property
    def again(self) -> int:
        """How many were pushed though the same had been pushed before."""
        return self.counted.total() - len(self.counted)

    def __enter__(self) -> "Pushes":
        self.thread.start()
        assert self.listens.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.client.echo(_END)
        self.thread.join(30)
        self.client.close()

    def _listen(self) -> None:
        with self.client.monitor() as monitor:
            self.listens.set()
            for said in monitor.listen():
                if _END in said["command"]:
                    return
                if said["command"].startswith("LPUSH"):
                    self.counted.update(_MESSAGE.findall(said["command"]))
