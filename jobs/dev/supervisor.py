"""Keeps the parts running until a signal comes, then stops everything in order."""

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from jobs.dev import processes
from jobs.dev.console import Console
from jobs.dev.parts import Part

TICK = 0.1  # seconds


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """Parts, a console and a stop request. `each_second` looks after what is not a part (the embedded servers)."""

    console: Console
    parts: list[Part]
    token: str
    grace: float  # seconds the parts get to end
    each_second: Callable[[], None] = lambda: None
    on_ready: Callable[[], bool] = lambda: True  # False: no need to stay
    stopping: threading.Event = field(default_factory=threading.Event)

    def watch_signals(self) -> None:
        """SIGINT, SIGTERM and a closed terminal ask for the stop."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._on_signal)

    def run(self) -> int:
        """Watch until told to stop; returns the exit code: 1 when a part gave up."""
        announced, next_look = False, time.monotonic() + 1
        while not self.stopping.is_set():
            now = time.monotonic()
            for part in self.parts:
                if line := part.poll(now):
                    self.console.say(f"up: {line}")
                if part.gave_up:
                    return self._give_up(part)
            self._show_logs()
            if not announced and all(part.ready for part in self.parts):
                announced = True
                if not self.on_ready():
                    return 0
            if now >= next_look:
                next_look = now + 1
                self.each_second()
            self.stopping.wait(TICK)
        return 0

    def stop(self) -> None:
        """End all parts: a signal, the grace, then a kill for them and for all that they started."""
        deadline = time.monotonic() + self.grace
        living = {part.name: part.process for part in self.parts if part.process is not None}
        for process in living.values():
            process.terminate()
        while any(process.poll() is None for process in living.values()) and time.monotonic() < deadline:
            self._show_logs()
            time.sleep(0.05)
        for name, process in living.items():
            if process.poll() is None:
                words = {"part": name, "seconds": round(self.grace)}
                self.console.say("up: " + _("%(part)s did not end within %(seconds)d s: killed") % words)
                process.kill()
            process.wait(timeout=5)
        processes.end_family(self.token, patience=1)
        self._show_logs()

    def _on_signal(self, number: int, frame: Any) -> None:
        self.stopping.set()

    def _show_logs(self) -> None:
        for part in self.parts:
            for line in part.log.new_lines():
                self.console.say(f"{part.name} | {line}")

    def _give_up(self, part: Part) -> int:
        words = {"part": part.name, "count": part.deaths}
        self.console.say("up: " + _("%(part)s died %(count)d times before it was ever ready. Its last lines:") % words)
        for line in part.log.last_lines(20):
            self.console.say(f"  {line}")
        return 1
