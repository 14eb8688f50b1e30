"""Who did what to which job, when and from where."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from jobs.domain.numbers import HIGHEST, LOWEST
from jobs.models import Audit
from jobs.models.audit import SOURCE_LABELS, VERB_LABELS
from jobs.web.access import needs
from jobs.web.paging import page_of
from jobs.web.widgets import dress


class AuditFilter(forms.Form):
    """Filters of the audit; each is optional."""

    actor = forms.CharField(label=_("Who"), required=False, max_length=200, widget=forms.TextInput(attrs={"dir": "auto"}))
    verb = forms.ChoiceField(label=_("What"), required=False, choices=[("", _("All")), *VERB_LABELS.items()])
    source = forms.ChoiceField(label=_("From where"), required=False, choices=[("", _("All")), *SOURCE_LABELS.items()])
    job = forms.IntegerField(label=_("Job number"), required=False, min_value=LOWEST, max_value=HIGHEST)


@needs("view_audit")
@require_safe
def audit_list(request: HttpRequest) -> HttpResponse:
    """The records, the newest first."""
    form = AuditFilter(request.GET)
    rows = Audit.objects.all()
    if form.is_valid():
        rows = rows.filter(**{name: value for name, value in form.cleaned_data.items() if value not in ("", None)})
    else:
        rows = rows.none()
    dress(form)
    context = {"form": form, "page": page_of(rows, request.GET), "filtered": any(request.GET.get(name) for name in form.fields)}
    return render(request, "jobs/audit/list.html", context)
