"""`manage.py test_dead_letter_queue`: retries, burial, notices, reprocess and resolve, verified on what was recorded."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs import dead_letters
from jobs.conf import configuration
from jobs.management import base
from jobs.refusals import said
from jobs.verification import dead_letter
from jobs.verification.dead_letter import Case
from jobs.verification.watch import is_span, late, until, watch
from jobs.verification.workers import NoWorker, some_worker


class Command(base.Command):
    """Makes jobs that fail in three ways, and judges what became of them."""

    help = gettext_noop("Run jobs that fail and verify retries, the dead letter queue, notices, reprocess and resolve.")

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract's option."""
        parser.add_argument(
            "--timeout", type=float, help=gettext_noop("seconds to wait for each step (default: 120 plus the delays before the retries)")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 1 with what differs."""
        timeout = dead_letter.patience() if options["timeout"] is None else options["timeout"]
        if not is_span(timeout):
            raise CommandError(_("--timeout must be a number of seconds above 0"))
        try:
            with some_worker(self.stdout.write, dead_letter.FAILS):
                problems = self._failures(timeout)
        except NoWorker as error:
            raise CommandError(str(error)) from error
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write(self.style.SUCCESS(_("passed")))

    def _failures(self, timeout: float) -> list[str]:
        cases = dead_letter.create()
        self._wait(cases, timeout)
        until(lambda: dead_letter.noticed([case.id for case in cases]), timeout)
        problems = self._judge(cases)
        if problems:
            return problems
        return self._reprocess(cases[2], timeout) + self._resolve(cases[0])

    def _reprocess(self, case: Case, timeout: float) -> list[str]:
        """The job runs again with all its retries, fails again, and has a second entry, which is closed too."""
        report = dead_letters.reprocess(dead_letter.open_entries([case.id]), dead_letter.BY)
        if len(report.done) != 1:
            return [_("reprocess was refused: %(why)s") % {"why": "; ".join(map(said, report.refused.values()))}]
        case = replace(case, label=_("reprocessed"), runs=2, resolutions=("reprocessed", "open"))
        self._wait([case], timeout)
        until(lambda: dead_letter.noticed([case.id]), timeout)
        return self._judge([case]) + self._resolve(replace(case, resolutions=("reprocessed", "resolved")))

    def _resolve(self, case: Case) -> list[str]:
        """The entry is closed, the job stays failed."""
        report = dead_letters.resolve(dead_letter.open_entries([case.id]), dead_letter.BY, dead_letter.NOTE)
        if len(report.done) != 1:
            return [_("resolve was refused: %(why)s") % {"why": "; ".join(map(said, report.refused.values()))}]
        resolutions = (*case.resolutions[:-1], "resolved")
        return self._judge([replace(case, label=_("resolved"), resolutions=resolutions)])

    def _wait(self, cases: Sequence[Case], timeout: float) -> None:
        ids = [case.id for case in cases]
        if not watch(ids, self.stdout.write, timeout):
            raise CommandError(late(ids, timeout))

    def _judge(self, cases: Sequence[Case]) -> list[str]:
        problems, settings = [], configuration()
        maximum = settings.retry_backoff_max if settings.retry_backoff else 0.0
        for case in cases:
            found = dead_letter.judge(case, dead_letter.read(case.id), maximum)
            verdict = "; ".join(found) or _("as expected")
            line = _("job %(id)d, %(label)s: %(verdict)s") % {"id": case.id, "label": case.label, "verdict": verdict}
            if found:
                problems.append(line)
            else:
                self.stdout.write(line)
        return problems
