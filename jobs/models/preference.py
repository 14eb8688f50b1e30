"""How an account wants to see the desk; a browser's cookies have the word while they last."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Preference(models.Model):
    """What a person chose on any browser; "" where nothing was chosen."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+", verbose_name=_("user"))
    language = models.CharField(_("language"), max_length=20, blank=True, default="")
    timezone = models.CharField(_("time zone"), max_length=100, blank=True, default="")
    theme = models.CharField(_("theme"), max_length=10, blank=True, default="")

    class Meta:
        verbose_name = _("preference")
        verbose_name_plural = _("preferences")
        default_permissions: ClassVar = []

    def __str__(self) -> str:
        return f"{self.language} {self.timezone} {self.theme}".strip()
