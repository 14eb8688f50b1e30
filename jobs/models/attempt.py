"""One run of a job that did not complete."""

from collections.abc import Sequence
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from jobs.domain.outcomes import KEPT, Outcome
from jobs.models.job import Job

OUTCOME_LABELS = {
    Outcome.FAILED: pgettext_lazy("attempt", "failed"),
    Outcome.LOST: pgettext_lazy("attempt", "lost with its worker"),
    Outcome.TIMED_OUT: pgettext_lazy("attempt", "timed out"),
    Outcome.INTERRUPTED: pgettext_lazy("attempt", "interrupted by shutdown"),
    Outcome.CANCELLED: pgettext_lazy("attempt", "cancelled"),
}


class Attempt(models.Model):
    """What happened in one run; a run that completed needs no row, the job says it all."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, models.CASCADE, related_name="attempt_set", verbose_name=pgettext_lazy("field", "job"))
    run = models.IntegerField(_("run"))  # job.runs of that run
    outcome = models.TextField(_("outcome"), choices=list(OUTCOME_LABELS.items()))
    error_class = models.TextField(_("error class"), db_default="")
    message = models.TextField(_("message"), db_default="")
    traceback = models.TextField(_("traceback"), db_default="")
    worker = models.TextField(_("worker"), db_default="")  # name@host, for people
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"))
    delay = models.FloatField(_("delay in seconds before the next attempt"), null=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering: ClassVar = ["job", "run"]

    def __str__(self) -> str:
        return f"{self.job_id}/{self.run}"


def unrecorded(attempts: Sequence[Attempt]) -> int:
    """Of how many runs between the first one and the others no record is kept; `attempts` are those of a job, in the order of its runs."""
    return attempts[1].run - attempts[0].run - 1 if len(attempts) > KEPT else 0
