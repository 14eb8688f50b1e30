"""Parts of the system that do not answer, and since when: noted by the leader while it lasts."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Outage(models.Model):
    """There is a row only while the part is away, or for as long as nobody has been there to see it come back."""

    part = models.TextField(_("part"), primary_key=True)
    since = models.DateTimeField(_("away since"))
    seen_at = models.DateTimeField(_("last seen away"))

    class Meta:
        verbose_name = _("outage")
        verbose_name_plural = _("outages")
        default_permissions: ClassVar = []

    def __str__(self) -> str:
        return self.part
