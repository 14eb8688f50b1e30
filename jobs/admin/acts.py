"""An act on the rows that were chosen: at once for a few; in the background for many, as on the desk."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from jobs import batches
from jobs.admin.lists import ids
from jobs.models.audit import Verb
from jobs.web.reports import admin_actor, say


def act(request: HttpRequest, verb: Verb, rows: QuerySet[Any, Any], *, entries: bool = False, **options: Any) -> None:
    """Do it, or begin it, and say so on the next page; `options` are those of the verb. Raises TooMany."""
    numbers, actor = ids(rows), admin_actor(request)
    if len(numbers) > batches.AT_ONCE:
        messages.success(request, _begun(batches.start(verb, numbers, actor, entries=entries, **options).pk))
    else:
        say(request, verb.value, batches.apply(verb, numbers, actor, entries=entries, **options), entries=entries)


def _begun(batch: int) -> str:
    try:
        address = reverse("jobs:batch", args=[batch])
    except NoReverseMatch:  # a project without the desk
        return _("It runs in the background.")
    text = _("It runs in the background; you can follow its progress and stop the rest.")
    return format_html('{} <a href="{}">{}</a>', text, address, _("Bulk action %(number)s") % {"number": batch})
