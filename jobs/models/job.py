"""The stored request to run a task, from its acceptance to its end."""

from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import F, Func, GeneratedField, Q, Value
from django.db.models.functions import Greatest, Least
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from jobs.domain import moments, statuses
from jobs.domain.moments import aware
from jobs.domain.statuses import State, Status
from jobs.models.json_text import JSONTextField


class ClockTimestamp(Func):
    """The database's clock at this very moment, not at the start of the transaction."""

    function = "clock_timestamp"
    output_field = models.DateTimeField()


class RandomUUID(Func):
    """A random UUID made by PostgreSQL. For migrations before 0020."""

    function = "gen_random_uuid"
    output_field = models.UUIDField()


class TaskId(Func):
    """As `jobs.domain.task_ids`, made by PostgreSQL: a random UUID whose first half is the time in milliseconds, and the version 7."""

    template = """overlay(overlay(gen_random_uuid()::text PLACING '-7' FROM 14 FOR 2) PLACING overlay(
        lpad(to_hex((date_part('epoch', clock_timestamp()) * 1000)::bigint), 12, '0') PLACING '-' FROM 9 FOR 0) FROM 1 FOR 13)"""
    output_field = models.TextField()


STATUS_LABELS = {
    Status.PENDING: pgettext_lazy("status", "Pending"),
    Status.RUNNING: pgettext_lazy("status", "Running"),
    Status.COMPLETED: pgettext_lazy("status", "Completed"),
    Status.FAILED: pgettext_lazy("status", "Failed"),
    Status.CANCELLED: pgettext_lazy("status", "Cancelled"),
}


# Columns of any size, which lists leave in the database.
HEAVY: Final = ("args", "kwargs", "result", "result_meta", "options", "progress")


class Job(models.Model):
    """One job. Every column but task has a default in the database, so a plain SQL INSERT is an enqueue."""

    id = models.BigAutoField(_("number"), primary_key=True)
    task_id = models.TextField(_("Celery id"), db_collation="C", db_default=TaskId(), editable=False)
    name = models.TextField(_("name"), blank=True, db_default="")
    task = models.TextField(_("task"))
    args = JSONTextField(_("positional arguments"), blank=True, db_default=Value([], JSONTextField()))
    kwargs = JSONTextField(_("named arguments"), blank=True, db_default=Value({}, JSONTextField()))
    result = JSONTextField(_("result"), null=True, editable=False)
    result_meta = JSONTextField(_("result, more"), null=True, editable=False)  # exception, traceback, children; None mostly
    options = JSONTextField(_("rest of the Celery message"), null=True, editable=False)
    queue = models.TextField(_("queue"), db_default="celery")
    priority = models.SmallIntegerField(_("priority"), db_default=5)
    status = models.TextField(_("status"), choices=list(STATUS_LABELS.items()), db_default=Status.PENDING.value, editable=False)
    run_at = models.DateTimeField(_("due at"), db_default=ClockTimestamp())
    max_retries = models.IntegerField(_("retries"), null=True, blank=True, db_default=3)
    autoretry = models.BooleanField(_("retried on any error"), db_default=True, editable=False)
    attempts = models.IntegerField(_("attempts"), db_default=0, editable=False)
    runs = models.IntegerField(_("runs"), db_default=0, editable=False)
    losses = models.IntegerField(_("lost runs"), db_default=0, editable=False)
    timeout = models.IntegerField(_("time limit in seconds"), null=True, blank=True, db_default=3600)
    deadline_at = models.DateTimeField(_("deadline"), null=True, editable=False)
    progress = JSONTextField(_("progress"), null=True, editable=False)
    last_error = models.TextField(_("last error"), db_default="", editable=False)
    unique_key = models.TextField(_("unique key"), null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("created by"), related_name="+", db_index=False
    )
    worker = models.IntegerField(_("worker"), null=True, editable=False)
    cancel_requested_at = models.DateTimeField(_("cancel asked at"), null=True, editable=False)
    cancel_requested_by = models.TextField(_("cancel asked by"), db_default="", editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=ClockTimestamp(), editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, editable=False)
    permanently_failed = GeneratedField(
        expression=Q(status=Status.FAILED.value),  # type: ignore[arg-type]
        output_field=models.BooleanField(_("permanently failed")),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering: ClassVar = ["-id"]
        permissions: ClassVar = [
            ("control_job", _("Can cancel jobs, run them again and change their priority")),
            ("operate_worker", _("Can steer workers and queues")),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(name="jobs_job_priority", condition=Q(priority__gte=0, priority__lte=9)),
            # The limits of a run and of the retries, where there are any; when it is due and was made. In the fewest words: see below.
            models.CheckConstraint(
                name="jobs_job_times",
                condition=Q(
                    GreaterThanOrEqual(Least(F("timeout") - 1, "max_retries"), 0),
                    GreaterThanOrEqual(Least("run_at", "created_at"), statuses.EARLIEST),
                    LessThanOrEqual(Greatest("run_at", "created_at"), statuses.HELD),
                ),
            ),
            models.CheckConstraint(name="jobs_job_counts", condition=Q(attempts__gte=0, runs__gte=F("attempts"), losses__gte=0)),
            # The statuses, and which have an end. PostgreSQL reads each constraint anew for each statement: one is cheaper than two.
            models.CheckConstraint(
                name="jobs_job_state",
                condition=models.Case(
                    models.When(finished_at__isnull=True, then=Q(status__in=["pending", "running"])),
                    default=Q(status__in=["completed", "failed", "cancelled"]),
                    output_field=models.BooleanField(),
                ),
            ),
            models.CheckConstraint(
                name="jobs_job_running",
                condition=~Q(status="running") | Q(worker__isnull=False, started_at__isnull=False, runs__gte=1),
            ),
            # not unique=True, which would add a second index for LIKE
            models.UniqueConstraint(name="jobs_job_task_id", fields=["task_id"]),
            models.UniqueConstraint(
                name="jobs_job_unique_key", fields=["unique_key"], condition=Q(status__in=["pending", "running"], unique_key__isnull=False)
            ),
        ]
        # Each index costs two more insertions a job (updates of status are not HOT); these are the ones that are needed.
        indexes: ClassVar = [
            models.Index(fields=["queue", "-priority", "run_at", "id"], name="jobs_job_due", condition=Q(status="pending")),
            models.Index(fields=["worker"], name="jobs_job_held", condition=Q(status="running")),
            models.Index(fields=["status", "finished_at"], name="jobs_job_ended", condition=Q(finished_at__isnull=False)),
            models.Index(fields=["id"], name="jobs_job_suspect", condition=Q(losses__gte=2, status__in=["pending", "running"])),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.name or self.task}"

    @property
    def state(self) -> State:
        """What people see: queued, scheduled, retrying, replaced or the stored status."""
        return statuses.state_of(self.status, attempts=self.attempts, run_at=aware(self.run_at), now=aware(moments.tell()))

    @property
    def had_waited(self) -> bool:
        """Whether this cancelled job was waiting till then, so that `restore` puts it back."""
        return self.cancel_requested_at is None and self.worker is None and aware(self.run_at) < statuses.HELD

    def can(self, verb: str) -> bool:
        """Whether a verb of TRANSITIONS may be applied to the job as it was read."""
        return statuses.can(verb, self.status)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Jobs are written by their verbs; this would bypass the compare-and-set."""
        raise TypeError("Job rows are written by jobs.store: use enqueue() or a verb of jobs.control")
