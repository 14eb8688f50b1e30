"""One supervised process: started, watched, started again with a growing delay."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from jobs.dev.console import Log

GIVE_UP = 5  # deaths before it was ever ready
LONGEST_DELAY = 30.0  # seconds
STEADY = 60.0  # seconds of life after which the delay starts small again


@dataclass(slots=True, kw_only=True)
class Part:
    """A command and what became of it; `is_ready` is asked until it says yes once."""

    name: str
    command: list[str]
    log: Log
    environ: Mapping[str, str]
    folder: str
    is_ready: Callable[["Part"], bool]
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    deaths: int = 0
    delay: float = 0.5
    started: float = field(default=0.0)  # time.monotonic()
    due: float = field(default=0.0)  # when it is started again

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C reaches the supervisor alone, which stops everything in order."""
        self.started = time.monotonic()
        with self.log.opened() as output:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder, env=dict(self.environ),
                start_new_session=os.name == "posix",
            )  # fmt: skip

    def poll(self, now: float) -> str:
        """Take one look; returns a line when something happened that a person should read."""
        if self.process is None:
            try:
                if now >= self.due:
                    self.start()
            except OSError as error:  # no process or no memory is left, for now
                return self._died(error, now)
            return ""
        code = self.process.poll()
        if code is not None:
            return self._died(code, now)
        if not self.ready:
            self.ready = self.is_ready(self)
        return ""

    @property
    def gave_up(self) -> bool:
        """Whether it died too often without ever having been ready."""
        return not self.ready and self.deaths >= GIVE_UP

    def _died(self, end: int | OSError, now: float) -> str:
        self.process = None
        self.deaths += 1
        self.delay = 1.0 if now - self.started > STEADY else min(LONGEST_DELAY, self.delay * 2)
        self.due = now + self.delay
        words = {"part": self.name, "how": _how(end), "seconds": round(self.delay)}
        return _("%(part)s ended (%(how)s), starting it again in %(seconds)d s") % words


def _how(end: int | OSError) -> str:
    if isinstance(end, OSError):
        return str(end)
    return (_("signal %(number)d") if end < 0 else _("exit %(number)d")) % {"number": abs(end)}
