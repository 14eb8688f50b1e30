"""What canvas and results need beside the jobs: chords that count, saved groups, results of ids that no job has."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.models.job import ClockTimestamp
from jobs.models.json_text import JSONTextField


class Chord(models.Model):
    """The count of one chord: how many header tasks there are, and how many have ended."""

    id = models.TextField(_("group"), primary_key=True, db_collation="C")
    size = models.IntegerField(_("size"), null=True)  # None until the last header task is sent
    done = models.IntegerField(_("ended"), db_default=0)
    failed = models.IntegerField(_("failed"), db_default=0)
    created_at = models.DateTimeField(_("created at"), db_default=ClockTimestamp())
    fired_at = models.DateTimeField(_("fired at"), null=True)

    class Meta:
        verbose_name = _("chord")
        verbose_name_plural = _("chords")
        indexes: ClassVar = [models.Index(fields=["fired_at"], name="jobs_chord_fired", condition=Q(fired_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.id} {self.done}/{self.size}"


class ChordPart(models.Model):
    """How one header task of a chord ended; kept until the body is sent."""

    pk = models.CompositePrimaryKey("chord", "task_id")
    chord = models.TextField(_("group"), db_collation="C", db_column="chord_id")
    task_id = models.TextField(_("Celery id"), db_collation="C")
    place = models.IntegerField(_("place"), null=True)
    state = models.TextField(_("state"))
    result = JSONTextField(_("result"), null=True)
    ended_at = models.DateTimeField(_("ended at"), db_default=ClockTimestamp())

    class Meta:
        verbose_name = _("chord part")
        verbose_name_plural = _("chord parts")

    def __str__(self) -> str:
        return f"{self.chord} {self.task_id} {self.state}"


class SavedGroup(models.Model):
    """A GroupResult that was saved, as Celery's tuple."""

    id = models.TextField(_("group"), primary_key=True, db_collation="C")
    header = JSONTextField(_("results"))
    saved_at = models.DateTimeField(_("saved at"), db_default=ClockTimestamp())

    class Meta:
        verbose_name = _("saved group")
        verbose_name_plural = _("saved groups")
        indexes: ClassVar = [models.Index(fields=["saved_at"], name="jobs_savedgroup_at")]

    def __str__(self) -> str:
        return self.id


class StoredResult(models.Model):
    """The result of an id that no job has: a link that never ran, the body of a failed chord, a state set by hand."""

    task_id = models.TextField(_("Celery id"), primary_key=True, db_collation="C")
    state = models.TextField(_("state"))
    result = JSONTextField(_("result"), null=True)
    traceback = models.TextField(_("traceback"), null=True)
    stored_at = models.DateTimeField(_("stored at"), db_default=ClockTimestamp())
    # Of a revocation: the number of the first transaction that must have seen it, 0 until the leader knows, None when none else is open.
    unseen_before = models.BigIntegerField(_("unseen by transactions before"), null=True)

    class Meta:
        verbose_name = _("stored result")
        verbose_name_plural = _("stored results")
        indexes: ClassVar = [
            models.Index(fields=["stored_at"], name="jobs_storedresult_at"),
            models.Index(fields=["task_id"], name="jobs_storedresult_unseen", condition=Q(unseen_before__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} {self.state}"


class Aftermath(models.Model):
    """What is still to be told of a job's end: its errbacks; and, when its task did not run at the end, its chain and its chord too."""

    job = models.BigIntegerField(_("job"), primary_key=True, db_column="job_id")  # no foreign key: each deletion of a job would look here
    only_errbacks = models.BooleanField(_("only errbacks"), db_default=False)
    created_at = models.DateTimeField(_("created at"), db_default=ClockTimestamp())

    class Meta:
        verbose_name = _("aftermath")
        verbose_name_plural = _("aftermaths")

    def __str__(self) -> str:
        return str(self.job)
