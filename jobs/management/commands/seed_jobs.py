"""`manage.py seed_jobs`: many rows, to try the desk at size."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.management import base
from jobs.store.seed import seed

DEAD = 5_000  # letters


class Command(base.Command):
    """Rows that look like days of work."""

    help = gettext_noop(
        "Insert jobs that look like six days of work, to try the pages with many jobs. They never run, and no notices are sent for them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--jobs", type=int, default=100_000, help=gettext_noop("how many (default: 100000)"))
        parser.add_argument(
            "--dead-letters", type=int, help=gettext_noop("how many of them are dead letters (default: 5000, or all if there are fewer)")
        )
        parser.add_argument("--force", action="store_true", help=gettext_noop("even if DEBUG is off"))

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1, with nothing inserted, for numbers that make no sense and on a system in use."""
        jobs = options["jobs"]
        dead = min(DEAD, jobs) if options["dead_letters"] is None else options["dead_letters"]
        if not 1 <= jobs <= 10_000_000 or not 0 <= dead <= jobs:
            raise CommandError(_("jobs must be from 1 to 10000000, and dead letters from 0 to that number"))
        if not (settings.DEBUG or options["force"]):
            raise CommandError(_("DEBUG is off, so this may be a system in use: nothing was inserted (see --force)"))
        for number in seed(jobs, dead):
            if number % 200_000 == 0 or number == jobs:
                self.stdout.write(_("%(number)d of %(all)d jobs") % {"number": number, "all": jobs})
