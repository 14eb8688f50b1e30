"""`manage.py up`: the whole system on this machine, in the foreground."""

import sys
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.management import base


class Command(base.Refusing):
    """Starts servers, a worker and the web pages; SIGINT or SIGTERM stops them."""

    help = gettext_noop("Start PostgreSQL, Redis, a worker and the web pages on this machine; Ctrl-C stops everything.")
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 after a signal, 1 when a part never got ready or something needed is missing."""
        try:
            from jobs.dev import startup
        except ModuleNotFoundError as error:
            raise CommandError(_("%(name)s is not installed: pip install -r requirements-services.txt") % {"name": error.name}) from error
        try:
            code = startup.run()
        except startup.CannotStart as error:
            raise CommandError(f"up: {error}") from error
        if code:
            sys.exit(code)
