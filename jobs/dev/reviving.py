"""Embedded servers that died are started again, beside all else: one may take long to start, and nobody waits for it."""

import threading
from pathlib import Path
from typing import Final

from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from jobs.dev import embedded
from jobs.dev.places import EmbeddedError
from jobs.dev.supervisor import Supervisor

_NAMES: Final = {"DATABASE_URL": "PostgreSQL", "REDIS_URL": "Redis"}


class Reviver:
    """Of the servers that `up` has started."""

    def __init__(self, supervisor: Supervisor, data_dir: Path, wanted: list[str]) -> None:
        self.supervisor, self.data_dir, self.wanted = supervisor, data_dir, wanted
        self.thread = threading.Thread()

    def look(self) -> None:
        """Begin to start those that do not run; nothing where that is being done."""
        if self.wanted and not self.thread.is_alive():
            self.thread = threading.Thread(target=self._revive_in, args=(get_language(),), daemon=True, name="reviving")
            self.thread.start()

    def end(self) -> None:
        """Wait for what was begun: a server that comes up after the others were stopped would stay."""
        if self.thread.is_alive():
            self.thread.join()

    def _revive_in(self, language: str | None) -> None:
        with override(language):  # which each thread has its own
            self.revive()

    def revive(self) -> None:
        """Start each again that died, unless all is to stop."""
        missing = set(self.wanted) - set(embedded.running(self.data_dir))
        if not missing or self.supervisor.stopping.is_set():
            return
        for name in sorted(missing):
            self.supervisor.console.say("up: " + _("%(server)s ended, starting it again") % {"server": _NAMES[name]})
        try:
            embedded.start(self.data_dir, wanted=self.wanted)
        except EmbeddedError as error:
            self.supervisor.console.say(f"up: {error}")
