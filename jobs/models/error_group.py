"""What people arranged for an error, whichever jobs have it: who looks after it, and until when no mail is wanted."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class ErrorGroup(models.Model):
    """The dead letters with one fingerprint; there is a row only where somebody arranged something."""

    fingerprint = models.TextField(_("error group"), primary_key=True)
    owner = models.TextField(_("owner"), db_default="")  # the name of an account; empty: nobody
    snoozed_until = models.DateTimeField(_("notices snoozed until"), null=True)  # None, or past: they go out

    class Meta:
        verbose_name = _("error group")
        verbose_name_plural = _("error groups")
        default_permissions: ClassVar = []
        indexes: ClassVar = [
            models.Index(fields=["snoozed_until"], name="jobs_group_snoozed", condition=Q(snoozed_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.fingerprint
