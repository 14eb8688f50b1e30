"""What people did to jobs: written with the change, in its transaction, and never changed afterwards (a trigger refuses it)."""

from enum import StrEnum
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from jobs.domain.actors import Source
from jobs.models.job import ClockTimestamp
from jobs.models.json_text import JSONTextField


class Verb(StrEnum):
    """What was done."""

    CANCEL = "cancel"
    REPROCESS = "reprocess"
    AGAIN = "again"
    PRIORITY = "priority"
    QUEUE = "queue"
    FAIL = "fail"
    DELETE = "delete"
    RESOLVE = "resolve"
    NOTIFY = "notify"
    DRAIN = "drain"
    RESUME = "resume"
    SHUTDOWN = "shutdown"
    RESTORE = "restore"
    OWN = "own"
    SNOOZE = "snooze"
    WAKE = "wake"
    STOP = "stop"
    REOPEN = "reopen"


VERB_LABELS = {
    Verb.CANCEL: pgettext_lazy("audit", "cancelled"),
    Verb.REPROCESS: pgettext_lazy("audit", "run again"),
    Verb.AGAIN: pgettext_lazy("audit", "copied to a new job"),
    Verb.PRIORITY: pgettext_lazy("audit", "priority changed"),
    Verb.QUEUE: pgettext_lazy("audit", "queue changed"),
    Verb.FAIL: pgettext_lazy("audit", "turned into a failure"),
    Verb.DELETE: pgettext_lazy("audit", "deleted"),
    Verb.RESOLVE: pgettext_lazy("audit", "marked as resolved"),
    Verb.NOTIFY: pgettext_lazy("audit", "notice sent again"),
    Verb.DRAIN: pgettext_lazy("audit", "worker drained"),
    Verb.RESUME: pgettext_lazy("audit", "worker resumed"),
    Verb.SHUTDOWN: pgettext_lazy("audit", "worker shut down"),
    Verb.RESTORE: pgettext_lazy("audit", "cancellation undone"),
    Verb.OWN: pgettext_lazy("audit", "owner changed"),
    Verb.SNOOZE: pgettext_lazy("audit", "notices snoozed"),
    Verb.WAKE: pgettext_lazy("audit", "snooze ended"),
    Verb.STOP: pgettext_lazy("audit", "bulk action stopped"),
    Verb.REOPEN: pgettext_lazy("audit", "opened again"),
}
SOURCE_LABELS = {
    Source.PAGE: pgettext_lazy("audit", "page"),
    Source.ADMIN: pgettext_lazy("audit", "admin"),
    Source.COMMAND: pgettext_lazy("audit", "command"),
    Source.API: pgettext_lazy("audit", "API"),
    Source.CODE: pgettext_lazy("audit", "code"),
}


class Audit(models.Model):
    """One act on one job, worker or error group. The job's number is kept as a number: the job may be deleted, the record stays."""

    id = models.BigAutoField(_("number"), primary_key=True)
    at = models.DateTimeField(_("when"), db_default=ClockTimestamp())
    actor = models.TextField(_("who"))
    source = models.TextField(_("from where"), choices=list(SOURCE_LABELS.items()))
    verb = models.TextField(_("what"), choices=list(VERB_LABELS.items()))
    job = models.BigIntegerField(pgettext_lazy("field", "job"), null=True)  # None: it concerned a worker or an error group
    error_group = models.TextField(_("error group"), db_default="")  # fingerprint
    name = models.TextField(_("name"), db_default="")  # of the job, else its task; of the worker; the error
    before = JSONTextField(_("before"))
    after = JSONTextField(_("after"))
    note = models.TextField(_("note"), db_default="")
    batch = models.BigIntegerField(_("bulk action"), null=True)  # the bulk action that did it; a number, for the act goes earlier

    class Meta:
        verbose_name = _("audit record")
        verbose_name_plural = _("audit")
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ["view"]
        indexes: ClassVar = [
            models.Index(fields=["job", "-id"], name="jobs_audit_job"),
            models.Index(fields=["actor", "-id"], name="jobs_audit_actor"),
            models.Index(fields=["verb", "-id"], name="jobs_audit_verb"),
            models.Index(fields=["error_group", "-id"], name="jobs_audit_group", condition=~Q(error_group="")),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.get_verb_display()} {self.name if self.job is None else self.job}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Records are written by jobs.store.audit, with the change itself."""
        raise TypeError("audit records are written by the verbs of jobs.control and jobs.dead_letters")
