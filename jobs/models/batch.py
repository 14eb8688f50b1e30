"""A bulk action that goes on in the background: its exact set is fixed when it is asked for."""

from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from jobs.models.audit import SOURCE_LABELS, VERB_LABELS, Verb
from jobs.models.job import ClockTimestamp
from jobs.models.json_text import JSONTextField


class BatchState(StrEnum):
    """How far it is."""

    DRAFT = "draft"  # a preview: nothing happens before somebody confirms it
    TRIAL = "trial"  # one job runs first; the others wait for its end
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


BATCH_LABELS = {
    BatchState.DRAFT: pgettext_lazy("batch", "preview"),
    BatchState.TRIAL: pgettext_lazy("batch", "waiting for the trial"),
    BatchState.RUNNING: pgettext_lazy("batch", "in progress"),
    BatchState.DONE: pgettext_lazy("batch", "done"),
    BatchState.STOPPED: pgettext_lazy("batch", "stopped"),
}


class Batch(models.Model):
    """`ids`: numbers of jobs, or of dead letters for `entries`; `place`: how many of them have had their turn."""

    id = models.BigAutoField(_("number"), primary_key=True)
    verb = models.TextField(_("what"), choices=[(verb.value, text) for verb, text in VERB_LABELS.items()])
    entries = models.BooleanField(_("of the dead letter queue"), db_default=False)
    actor = models.TextField(_("who"))
    source = models.TextField(_("from where"), choices=[(source.value, text) for source, text in SOURCE_LABELS.items()])
    ids = JSONTextField(_("numbers"))
    total = models.IntegerField(_("all"))
    options = JSONTextField(_("options"))
    pace = models.IntegerField(_("per second"), null=True)  # None: as fast as it goes
    trial_job = models.BigIntegerField(_("trial"), null=True)
    state = models.TextField(_("state"), choices=[(state.value, text) for state, text in BATCH_LABELS.items()])
    place = models.IntegerField(_("processed"), db_default=0)
    done = models.IntegerField(_("done"), db_default=0)
    reasons = JSONTextField(_("left as they were"))
    remark = models.TextField(_("remark"), db_default="")
    created_at = models.DateTimeField(_("created at"), db_default=ClockTimestamp())
    started_at = models.DateTimeField(_("started at"), null=True)  # of one with a pace: its last step
    ended_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("bulk action")
        verbose_name_plural = _("bulk actions")
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = []
        constraints: ClassVar = [
            models.CheckConstraint(name="jobs_batch_state", condition=Q(state__in=[state.value for state in BatchState])),
            models.CheckConstraint(name="jobs_batch_place", condition=Q(place__gte=0, done__gte=0)),
        ]
        indexes: ClassVar = [models.Index(fields=["id"], name="jobs_batch_active", condition=Q(state__in=["trial", "running"]))]

    def __str__(self) -> str:
        return f"{self.verb} {self.total}"

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in (BatchState.TRIAL, BatchState.RUNNING)

    @property
    def what(self) -> Verb:
        """The verb."""
        return Verb(self.verb)
