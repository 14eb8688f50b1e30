"""Jobs that come in one after the other while something else happens."""

import threading
from collections.abc import Callable
from typing import Any


class Stream:
    """Calls `insert` each 20 ms until told to stop; `ids` are its answers, but for None. `close` ends the thread's connection."""

    def __init__(self, insert: Callable[[], int | None], close: Callable[[], Any] = lambda: None) -> None:
        self.insert, self.close = insert, close
        self.ids: list[int] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Stream":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _run(self) -> None:
        try:
            while not self.stop.wait(0.02):
                id = self.insert()
                if id is not None:
                    self.ids.append(id)
        finally:
            self.close()
