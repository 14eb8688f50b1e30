"""`manage.py demo`: start, run a few jobs of every kind to the end, stop."""

import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.management import base


class Command(base.Command):
    """The system for one minute."""

    help = gettext_noop("Start the whole system, run a few jobs of every kind to their end, report what happened, and stop.")
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--jobs-only", action="store_true", help=gettext_noop("run the jobs on a system that is already up"))

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 when each job ended as it should."""
        if not (self._run_jobs() if options["jobs_only"] else self._start_and_run()):
            raise CommandError(_("not every job of the demo ended as expected"))

    def _run_jobs(self) -> bool:
        from jobs.verification import demo

        return demo.run(self.stdout.write)

    def _start_and_run(self) -> bool:
        from jobs.dev import startup

        codes: list[int] = []

        def on_ready() -> bool:
            # a process of its own: this one read its settings before the servers ran
            command = [sys.executable, "manage.py", "demo", "--jobs-only"]
            codes.append(subprocess.run(command, cwd=settings.BASE_DIR, timeout=120, check=False).returncode)
            return False

        try:
            startup.run(on_ready)
        except startup.CannotStart as error:
            raise CommandError(f"demo: {error}") from error
        return codes == [0]
