"""`manage.py services`: the embedded PostgreSQL and Redis alone."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.management import base


class Command(base.Command):
    """Starts, stops and shows the embedded servers of DATA_DIR."""

    help = gettext_noop(
        "The embedded PostgreSQL and Redis of DATA_DIR: start, stop, status, or env (prints DATABASE_URL=… and REDIS_URL=…)."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """One word says what to do."""
        parser.add_argument("action", choices=["start", "stop", "status", "env"])

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; what cannot be done is one line and exit 1."""
        try:
            from jobs.dev import places
        except ModuleNotFoundError as error:
            raise CommandError(_("%(name)s is not installed: pip install -r requirements-services.txt") % {"name": error.name}) from error
        try:
            getattr(self, f"_{options['action']}")(Path(settings.DATA_DIR))
        except (places.EmbeddedError, OSError) as error:
            raise CommandError(str(error)) from error

    def _start(self, data_dir: Path) -> None:
        from jobs.dev import embedded

        for name, address in embedded.start(data_dir, keep=True).items():
            self.stdout.write(f"{name}={address}")

    def _stop(self, data_dir: Path) -> None:
        from jobs.dev import embedded, locking, processes

        if locking.is_held(data_dir / "up.lock"):
            pid = processes.recorded(data_dir)[0]
            raise CommandError(_("`up` (process %(pid)s) is using them: stop it first") % {"pid": pid})
        embedded.stop(data_dir)

    def _status(self, data_dir: Path) -> None:
        from jobs.dev import embedded

        running = embedded.running(data_dir)
        for name, label in (("DATABASE_URL", "PostgreSQL"), ("REDIS_URL", "Redis")):
            address = running.get(name) or _("not running")
            self.stdout.write(f"{label}: {address}")
        if len(running) < 2:
            raise CommandError(_("not both servers are running"))

    def _env(self, data_dir: Path) -> None:
        from jobs.dev import embedded

        running = embedded.running(data_dir)
        if len(running) < 2:
            raise CommandError(_("the embedded servers are not running: python manage.py services start"))
        for name, address in running.items():
            self.stdout.write(f"{name}={address}")
