"""Why an action is done: asked beside it, kept in the audit."""

from django import forms
from django.contrib.admin import helpers
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from jobs.store.audit import NOTE


class ActionForm(helpers.ActionForm):
    """The action, and why."""

    reason = forms.CharField(
        label=format_lazy("{}:", _("Reason")), required=False, max_length=NOTE, widget=forms.TextInput(attrs={"dir": "auto"})
    )


def reason_of(request: HttpRequest) -> str:
    """What was given as the reason; "" for nothing."""
    return request.POST.get("reason", "").replace("\0", "").strip()[:NOTE]
