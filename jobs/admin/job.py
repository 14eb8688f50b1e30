"""Jobs in the admin: add (really enqueues), list, read, act."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import npgettext

from jobs import control, registry
from jobs.admin import shown
from jobs.admin.acts import act
from jobs.admin.confirm import ask
from jobs.admin.filters import CreatedFilter, PriorityFilter, QueueFilter
from jobs.admin.lists import ListAdmin, ids
from jobs.admin.reasons import ActionForm, reason_of
from jobs.domain import priority
from jobs.domain.numbers import number_of
from jobs.domain.texts import NAME_LIMIT
from jobs.enqueueing import InvalidJob, enqueue
from jobs.models import Attempt, Job
from jobs.models.audit import Verb
from jobs.models.job import HEAVY
from jobs.store.cut import cut
from jobs.web.filters import JobFilter
from jobs.web.forms import AT_WIDGET, BulkForm, not_past
from jobs.web.reports import admin_actor, say, warn_of_queue
from jobs.web.widgets import JSONField, MomentField

Rows = QuerySet[Job, Job]
CODE = {"rows": 4, "cols": 60, "dir": "ltr"}
FIELDSETS = [
    (None, {"fields": ["id", "name", "task", "status", "is_final", "priority", "queue", "created_at", "created_by",
                       "run_at", "started_at", "finished_at"]}),
    (_("Arguments and result"), {"fields": ["shown_args", "shown_kwargs", "shown_progress", "shown_result", "shown_error"]}),
    (_("Retries and limits"), {"fields": ["attempts", "max_retries", "runs", "losses", "autoretry", "timeout", "deadline_at"]}),
    (_("Other"), {"fields": ["task_id", "unique_key", "worker", "cancel_requested_at", "cancel_requested_by", "shown_options"]}),
]  # fmt: skip


class NewJobForm(forms.ModelForm):
    """Enqueues when it is valid; the verb's refusals appear on its fields."""

    task = forms.ChoiceField(label=_("Task"))
    name = forms.CharField(label=_("Name"), required=False, max_length=NAME_LIMIT)
    args = JSONField(label=capfirst(_("positional arguments")), required=False, initial=list, widget=forms.Textarea(CODE))
    kwargs = JSONField(label=capfirst(_("named arguments")), required=False, initial=dict, widget=forms.Textarea(CODE))
    priority = forms.IntegerField(label=_("Priority"), min_value=0, max_value=9, initial=priority.DEFAULT, help_text=_("9 runs first"))
    max_retries = forms.IntegerField(label=_("Retries"), min_value=0, initial=3)
    run_at = MomentField(label=capfirst(_("due at")), required=False, widget=AT_WIDGET)
    queue = forms.CharField(label=_("Queue"), required=False, max_length=100)
    requester: Any = None

    class Meta:
        model = Job
        fields = ("task", "name", "args", "kwargs", "priority", "max_retries", "run_at", "queue")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {}
        self.fields["task"].choices = [("", _("Select…")), *((name, name) for name in registry.job_types())]  # type: ignore[attr-defined]

    def clean_run_at(self) -> Any:
        return not_past(self.cleaned_data["run_at"])

    def _post_clean(self) -> None:
        """Enqueue instead of checking the model; Django has one transaction around the whole request."""
        if self.errors:
            return
        data = dict(self.cleaned_data)
        task = data.pop("task")
        try:
            self.instance = enqueue(task, **{**data, "queue": data["queue"] or None}, created_by=self.requester)
        except InvalidJob as error:
            for name, problems in error.error_dict.items():
                self.add_error(name if name in self.fields else None, problems)


class AttemptInline(admin.TabularInline):
    """The runs that did not complete."""

    model = Attempt
    template = "admin/jobs/attempts.html"
    fields = readonly_fields = ("run",)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("jobs.view_job")


@admin.register(Job)
class JobAdmin(ListAdmin):
    """Nothing is editable: each change is a verb, and the verb says whom it refused."""

    list_display = ("number", "shown_name", "task", "status", "priority", "queue", "attempts", "run_at", "finished_at")
    list_display_links = ("number", "shown_name")
    list_filter = ("status", PriorityFilter, QueueFilter, ("created_at", CreatedFilter))
    search_fields = ("id",)  # shows the box; `get_search_results` reads it
    sortable_by = ("number",)  # any other order would sort the whole table
    list_select_related = False
    action_form = ActionForm
    actions = ("reprocess_jobs", "cancel_jobs", "restore_jobs", "reorder_jobs", "move_jobs", "fail_completed_jobs", "delete_jobs")

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """As the desk finds them: by number or Celery id, or by words of name, arguments and errors without what is hidden in them."""
        if not search_term:
            return queryset, False
        found = JobFilter({"q": search_term}).find(queryset)
        if found.behind:
            text = _("The newest jobs are still being indexed; search again in a moment.")
            self.message_user(request, text, messages.INFO)
        return found.rows, False

    def view_on_site(self, obj: Job) -> str | None:
        """The job's page on the desk; None in a project without the desk."""
        try:
            return reverse("jobs:detail", args=[obj.pk])
        except NoReverseMatch:
            return None

    @admin.display(description=_("number"), ordering="id")
    def number(self, job: Job) -> int:
        return job.pk

    @admin.display(description=_("name"), empty_value="-")
    def shown_name(self, job: Job) -> str:
        return shown.name(job.name) if job.name else ""

    @admin.display(description=_("permanently failed"), boolean=True)
    def is_final(self, job: Job) -> bool:
        return job.permanently_failed

    @admin.display(description=_("positional arguments"))
    def shown_args(self, job: Job) -> str:
        return shown.column(job, "args")

    @admin.display(description=_("named arguments"))
    def shown_kwargs(self, job: Job) -> str:
        return shown.column(job, "kwargs")

    @admin.display(description=_("progress"))
    def shown_progress(self, job: Job) -> str:
        return shown.column(job, "progress")

    @admin.display(description=_("result"))
    def shown_result(self, job: Job) -> str:
        return shown.column(job, "result")

    @admin.display(description=_("last error"))
    def shown_error(self, job: Job) -> str:
        return shown.error(job.last_error)

    @admin.display(description=_("rest of the Celery message"))
    def shown_options(self, job: Job) -> str:
        return shown.column(job, "options")

    def get_queryset(self, request: HttpRequest) -> Rows:
        rows = super().get_queryset(request)
        match = request.resolver_match
        return rows.defer(*HEAVY) if match and match.url_name == "jobs_job_changelist" else cut(rows.select_related("created_by"))

    def get_form(self, request: HttpRequest, obj: Job | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        return type("NewJobForm", (NewJobForm,), {"requester": request.user})

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": NewJobForm.Meta.fields})]
        return FIELDSETS

    def get_inlines(self, request: HttpRequest, obj: Job | None) -> Any:
        return [AttemptInline] if obj else []

    def save_model(self, request: HttpRequest, obj: Job, form: Any, change: bool) -> None:
        """The form has enqueued the job already."""

    def job_of(self, row: Job) -> int:
        return row.pk

    def noun(self, number: int) -> str:
        return npgettext("counted", "job", "jobs", number)

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return request.user.has_perm("jobs.view_job")

    def has_control_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.control_job")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Django's confirmation; the verb deletes, or says why not."""
        if request.method != "POST" or not self.has_delete_permission(request) or (number := number_of(object_id)) is None:
            return super().delete_view(request, object_id, extra_context)
        say(request, "delete", control.delete([number], by=admin_actor(request)))
        return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A job's entries go with it, though nobody may delete them alone; the verb keeps a job with an open one, and says so."""
        related, counts, _missing, protected = super().get_deleted_objects(objs, request)
        return related, counts, set(), protected

    @admin.action(description=_("Reprocess"), permissions=["control"])
    def reprocess_jobs(self, request: HttpRequest, rows: Rows) -> None:
        act(request, Verb.REPROCESS, rows, reason=reason_of(request))

    @admin.action(description=_("Cancel"), permissions=["control"])
    def cancel_jobs(self, request: HttpRequest, rows: Rows) -> None:
        act(request, Verb.CANCEL, rows, reason=reason_of(request))

    @admin.action(description=_("Undo the cancellation"), permissions=["control"])
    def restore_jobs(self, request: HttpRequest, rows: Rows) -> None:
        act(request, Verb.RESTORE, rows, reason=reason_of(request))

    @admin.action(description=_("Change the priority…"), permissions=["control"])
    def reorder_jobs(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        return self._change(request, rows, Verb.PRIORITY, "reorder_jobs", str(_("Change the priority of these jobs?")))

    @admin.action(description=_("Change the queue…"), permissions=["control"])
    def move_jobs(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        return self._change(request, rows, Verb.QUEUE, "move_jobs", str(_("Move these jobs to another queue?")))

    def _change(self, request: HttpRequest, rows: Rows, verb: Verb, action: str, title: str) -> HttpResponse | None:
        """Ask for the new value, then apply the verb as the desk does."""
        form = BulkForm(verb, request.POST if "confirmed" in request.POST else None)
        del form.fields["reason"]  # it was written beside the action
        if not form.is_valid():
            return ask(self, request, rows, action, title, form=form)
        act(request, verb, rows, reason=reason_of(request), **form.cleaned_data)
        if queue := form.cleaned_data.get("queue"):
            warn_of_queue(request, queue)
        return None

    @admin.action(description=_("Turn completed jobs into failed ones to test the Dead Letter Queue"), permissions=["control"])
    def fail_completed_jobs(self, request: HttpRequest, rows: Rows) -> None:
        say(request, "fail", control.fail_completed(ids(rows), by=admin_actor(request), reason=reason_of(request)))

    @admin.action(description=_("Delete"), permissions=["delete"])
    def delete_jobs(self, request: HttpRequest, rows: Rows) -> HttpResponse | None:
        if "confirmed" not in request.POST:
            return ask(self, request, rows, "delete_jobs", str(_("Delete these jobs?")))
        act(request, Verb.DELETE, rows, reason=reason_of(request))
        return None
