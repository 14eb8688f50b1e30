"""A Redis of a test's own, which may be killed and stopped."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.dev import redis_server
from jobs.store import broker
from tests.waiting import until


class OwnRedis:
    """A server of the test's own, without persistence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url, self.socket = "", Path()
        self.start()

    def start(self) -> None:
        self.url, self.socket = redis_server.start(self.folder, {"appendonly": "no"})
        with self.client() as client:
            self.pid = int(client.info("server")["process_id"])

    @property
    def broker_url(self) -> str:
        """As Celery names it."""
        return f"redis+socket://{self.socket}?virtual_host=0"

    def client(self) -> Any:
        return broker.client(self.broker_url)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not redis_server.is_running(self.folder))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)
