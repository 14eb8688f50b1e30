"""A job that used up its retries, waiting for a person."""

from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from jobs.models.job import ClockTimestamp, Job


class Resolution(StrEnum):
    """What a person has done about the entry."""

    OPEN = "open"
    REPROCESSED = "reprocessed"
    RESOLVED = "resolved"


RESOLUTION_LABELS = {
    Resolution.OPEN: pgettext_lazy("dead letter", "Open"),
    Resolution.REPROCESSED: pgettext_lazy("dead letter", "Reprocessed"),
    Resolution.RESOLVED: pgettext_lazy("dead letter", "Resolved"),
}


class DeadLetterQueue(models.Model):
    """One entry for each burial; the open row with no notified_at is also the outbox of the notices."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, models.CASCADE, related_name="dead_letters", verbose_name=pgettext_lazy("field", "job"))
    error_class = models.TextField(_("error class"))
    message = models.TextField(_("message"), db_default="")
    traceback = models.TextField(_("traceback"), db_default="")
    fingerprint = models.TextField(_("error group"))
    attempts = models.IntegerField(_("attempts"))
    failed_at = models.DateTimeField(_("failed at"), db_default=ClockTimestamp())
    resolution = models.TextField(_("resolution"), choices=list(RESOLUTION_LABELS.items()), db_default=Resolution.OPEN.value)
    resolved_by = models.TextField(_("resolved by"), db_default="")
    resolved_at = models.DateTimeField(_("resolved at"), null=True)
    note = models.TextField(_("note"), blank=True, db_default="")
    notified_at = models.DateTimeField(_("notified at"), null=True)
    notify_error = models.TextField(_("notice error"), db_default="")
    notify_after = models.DateTimeField(_("next notice"), null=True, db_default=ClockTimestamp())  # None: no more tries
    notify_tries = models.IntegerField(_("notice tries"), db_default=0)
    notify_asked = models.BooleanField(_("notice asked for"), db_default=False)  # by a person: it goes out although its group is snoozed

    class Meta:
        verbose_name = _("dead-letter entry")
        verbose_name_plural = _("Dead Letter Queue")
        ordering: ClassVar = ["-id"]
        permissions: ClassVar = [("triage_deadletterqueue", _("Can reprocess, resolve and notify dead letters"))]
        constraints: ClassVar = [
            models.CheckConstraint(name="jobs_dlq_resolution", condition=Q(resolution__in=[item.value for item in Resolution])),
            models.UniqueConstraint(name="jobs_dlq_one_open", fields=["job"], condition=Q(resolution="open")),
        ]
        indexes: ClassVar = [
            models.Index(fields=["fingerprint", "-id"], name="jobs_dlq_group"),
            models.Index(fields=["fingerprint", "failed_at"], name="jobs_dlq_times"),
            models.Index(fields=["fingerprint"], include=["failed_at", "id", "job"], condition=Q(resolution="open"), name="jobs_dlq_open"),
            models.Index(fields=["fingerprint", "resolved_at"], name="jobs_dlq_resolved", condition=Q(resolution="resolved")),
            models.Index(fields=["resolution", "-id"], name="jobs_dlq_resolution_ix"),
            models.Index(
                fields=["notify_after"], name="jobs_dlq_outbox", condition=Q(notified_at__isnull=True, notify_after__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"\u2066{self.job_id}: {self.error_class}\u2069"  # in a heading that runs from right to left too
