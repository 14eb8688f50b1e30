"""`manage.py dispatch`: the leader, or a standby for it."""

import os
import signal
import sys
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections
from django.utils.translation import gettext_noop

from jobs.management import base


class Command(base.Refusing):
    """Hands due jobs to the workers; any number may run, one leads."""

    help = gettext_noop(
        "Hand due jobs to the workers. Any number of these may run: one leads, the others stand by. Each worker starts one automatically."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Workers start it with --parent, and with the database and the keys that they work on: in tests not those of the settings."""
        parser.add_argument(
            "-A", "--app", default="", help=gettext_noop("The Celery app, as in celery -A (default: the one that the settings import).")
        )
        given = parser.add_argument_group(description=gettext_noop("Set by a worker for the leader that it starts:"))
        given.add_argument(
            "--database-name", default="", help=gettext_noop("Another database on the same server; it may be created later.")
        )
        given.add_argument("--key-prefix", default="", help=gettext_noop("The prefix of the keys in Redis, in place of JOBS_KEY_PREFIX."))
        given.add_argument(
            "--deadlines", type=int, help=gettext_noop("The file descriptor of the parent's deadlines: end the parent when it hangs.")
        )
        given.add_argument("--end", type=int, help=gettext_noop("The file descriptor by which the parent can be ended even if it hangs."))
        given.add_argument("--signals", type=int, help=gettext_noop("The file descriptor that passes on the parent's signals, as numbers."))
        given.add_argument("--logfile", help=gettext_noop("The file that the parent writes its log to (default: standard error)."))
        given.add_argument("--loglevel", type=int, help=gettext_noop("The lowest level that is logged there, as a number."))
        given.add_argument(
            "--parent", action="store_true", help=gettext_noop("End when standard input is closed, that is, with the parent process.")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM, SIGINT or the parent's end."""
        os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # else Celery runs Django's checks, and loads every page, at the first message
        from jobs.celery_app.app import NoApp, find
        from jobs.celery_app.deadline_board import Board
        from jobs.conf import configuration
        from jobs.leader import terms
        from jobs.store import broker
        from jobs.store.pooler import PoolerBetween
        from jobs.worker import heap, log
        from jobs.worker.ending import Handles
        from jobs.worker.sentry import Sentry

        if options["key_prefix"] != "":
            settings.JOBS_KEY_PREFIX = options["key_prefix"]
            configuration.cache_clear()
        try:
            app = find(options["app"])
        except NoApp as error:
            raise CommandError(str(error)) from error
        try:
            broker.of(app.conf).close()
        except ValueError as error:
            raise CommandError(f"CELERY_BROKER_URL: {error}") from error
        if options["database_name"]:
            connections[configuration().database].settings_dict["NAME"] = options["database_name"]
        log.write_to(options["logfile"], options["loglevel"])
        stop = threading.Event()
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: stop.set())
        if options["parent"]:
            threading.Thread(target=_watch, args=(stop,), daemon=True, name="jobs-parent").start()
        if options["deadlines"] is not None:
            try:
                handles = Handles(options["end"], options["signals"])
                sentry = Sentry(Board(options["deadlines"]), os.getppid(), handles, configuration().shutdown_grace)
            except (OSError, ValueError) as error:
                raise CommandError(f"--deadlines: {error}") from error
            threading.Thread(target=sentry.run, daemon=True, name="jobs-sentry").start()
        heap.freeze()
        try:
            terms.run(stop)
        except PoolerBetween as error:
            raise CommandError(str(error)) from error


def _watch(stop: threading.Event) -> None:
    """Nothing is ever written to this standard input; its end is the parent's."""
    try:
        while os.read(sys.stdin.fileno(), 4096):  # not the buffered file: its lock would be held when the interpreter ends
            pass
    except (OSError, ValueError, AttributeError):
        pass
    stop.set()
