"""`manage.py test_priority_concurrency`: slots and priorities, verified on what the database recorded."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.domain.priority import wrong_priority
from jobs.management import base
from jobs.management.messages import one_line
from jobs.verification import priority
from jobs.verification.watch import is_span, late, watch
from jobs.verification.workers import NoWorker, some_worker

MOST = 10_000  # jobs


class Command(base.Command):
    """Makes jobs of mixed priorities, shows them live, and judges their times."""

    help = gettext_noop("Run jobs of mixed priorities and verify slots and order; with NAME: create one job that is due now.")

    def add_arguments(self, parser: CommandParser) -> None:
        """Exactly the contract's options."""
        parser.add_argument(
            "name", nargs="?", metavar="NAME", help=gettext_noop("create one job with this name, print its number and exit")
        )
        parser.add_argument(
            "--priority", type=int, default=5, help=gettext_noop("priority of the one job (default: 5); 0 to 9, 9 runs first")
        )
        parser.add_argument(
            "--max-retries", "--max_retries", type=int, default=3, help=gettext_noop("retries after the first run (default: 3)")
        )
        parser.add_argument("--count", type=int, default=12, help=gettext_noop("how many jobs (default: 12)"))
        parser.add_argument("--sleep", type=float, default=15.0, help=gettext_noop("seconds each job sleeps (default: 15)"))
        parser.add_argument("--clear", action="store_true", help=gettext_noop("first remove this command's earlier jobs"))
        parser.add_argument("--expect", type=int, default=4, help=gettext_noop("jobs at once for each worker (default: 4)"))
        parser.add_argument("--timeout", type=float, help=gettext_noop("seconds to wait for all jobs to end"))

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1 with the offending rows when a rule was broken."""
        if not (1 <= options["count"] <= MOST and 1 <= options["expect"] <= MOST and 0 <= options["sleep"] <= 86_400):
            raise CommandError(_("--count and --expect must be from 1 to %(most)d, --sleep from 0 to 86400") % {"most": MOST})
        if options["timeout"] is not None and not is_span(options["timeout"]):
            raise CommandError(_("--timeout must be a number of seconds above 0"))
        if wrong := wrong_priority(options["priority"]):
            raise CommandError(f"--priority: {wrong}")
        if options["name"] is not None and not options["name"].strip():
            raise CommandError(_("NAME is empty: leave it out to create all jobs of the test"))
        if options["clear"]:
            report = priority.clear()
            self.stdout.write(_("removed: %(done)d, left: %(left)d") % {"done": len(report.done), "left": len(report.refused)})
        try:
            if options["name"] is not None:
                job = priority.create_one(options["name"], options["sleep"], options["priority"], options["max_retries"])
                self.print_numbers([job.id])
            else:
                self._run(options)
        except ValidationError as error:
            raise CommandError(one_line(error)) from error
        except NoWorker as error:
            raise CommandError(str(error)) from error

    def _run(self, options: dict[str, Any]) -> None:
        timeout = options["timeout"] or 60 + 2 * options["sleep"] * (options["count"] / options["expect"] + 1)
        with some_worker(self.stdout.write, priority.TASK):
            ids = priority.create(options["count"], options["sleep"], options["max_retries"])
            if not watch(ids, self.stdout.write, timeout):
                raise CommandError(late(ids, timeout))
            verdict = priority.judge(ids, options["expect"])
        for fact in verdict.facts:
            self.stdout.write(fact)
        if verdict.problems:
            raise CommandError("\n".join(verdict.problems))
        self.stdout.write(self.style.SUCCESS(_("passed")))
