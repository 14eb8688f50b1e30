"""The worker processes that are alive; each holds a session advisory lock on its number."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.job import ClockTimestamp
from jobs.models.json_text import JSONTextField


class Worker(models.Model):
    """One incarnation of a worker process. Under prefork each child has a row of its own, with its parent's number."""

    id = models.AutoField(_("number"), primary_key=True)
    name = models.TextField(_("name"))  # Celery's node name, for people
    hostname = models.TextField(_("host"))
    pid = models.IntegerField(_("process"))
    pool = models.TextField(_("pool"))
    concurrency = models.IntegerField(_("slots"))
    queues = JSONTextField(_("queues"))
    tasks = JSONTextField(_("tasks"))
    versions = JSONTextField(_("versions"))
    parent = models.IntegerField(_("parent"), null=True)
    started_at = models.DateTimeField(_("started at"), db_default=ClockTimestamp())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.name
