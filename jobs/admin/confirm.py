"""A page between an action and its effect."""

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from jobs.admin.reasons import reason_of

SHOWN: Final = 50  # rows


def ask(
    site: admin.ModelAdmin, request: HttpRequest, rows: QuerySet[Any], action: str, title: str, *, note: bool = False, form: Any = None
) -> TemplateResponse:
    """Show which rows are meant and ask, perhaps with a note or a form; the answer comes as the same action with `confirmed`."""
    total = rows.count()
    context = {
        **site.admin_site.each_context(request),
        "title": title,
        "button": str(dict(site.get_action_choices(request))[action]).removesuffix("…"),
        "rows": rows[:SHOWN],
        "more": f"{total - SHOWN:,}" if total > SHOWN else "",
        "total": f"{total:,}",
        "chosen": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "across": request.POST.get("select_across", "0"),
        "action": action,
        "note": note,
        "reason": reason_of(request),
        "form": form,
        "opts": site.model._meta,
    }
    return TemplateResponse(request, "admin/jobs/confirm.html", context)
