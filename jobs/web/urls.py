"""Addresses of the desk."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from jobs.web.views import (
    audit,
    batch,
    bulk,
    create,
    dashboard,
    dead_letter,
    error_group,
    job,
    job_list,
    preferences,
    probe,
    triage,
    types,
    worker,
)


class Text(StringConverter):
    """What PostgreSQL may be asked for: it has no null characters, so an address with one leads nowhere."""

    regex = r"[^/\0]+"


class Number(IntConverter):
    """Of a job: an INSERT may have brought a negative one."""

    regex = "-?[0-9]+"


register_converter(Text, "jobs_text")  # one space of names for all apps of a project
register_converter(Number, "jobs_number")
app_name = "jobs"
urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("jobs/", job_list.job_list, name="list"),
    path("jobs/create/", create.job_create, name="create"),
    path("jobs/dead-letters/", dead_letter.dead_letter_list, name="dead_letters"),
    path("jobs/dead-letters/act/", dead_letter.dead_letter_act, name="dead_letters_act"),
    path("jobs/dead-letters/group/<jobs_text:fingerprint>/", error_group.group, name="dead_letter_group"),
    path("jobs/dead-letters/group/<jobs_text:fingerprint>/owner/", error_group.own, name="dead_letter_group_own"),
    path("jobs/dead-letters/group/<jobs_text:fingerprint>/snooze/", error_group.snooze, name="dead_letter_group_snooze"),
    path("jobs/dead-letters/reprocess/", triage.reprocess, name="dead_letters_reprocess"),
    path("jobs/dead-letters/resolve/", triage.resolve, name="dead_letters_resolve"),
    path("jobs/bulk/", bulk.bulk, name="bulk"),
    path("jobs/find/", job_list.job_find, name="find"),
    path("jobs/export/", job_list.job_export, name="export"),
    path("jobs/batches/<int:pk>/confirm/", bulk.confirm, name="batch_confirm"),
    path("jobs/batches/", batch.batch_list, name="batches"),
    path("jobs/batches/<int:pk>/", batch.batch_detail, name="batch"),
    path("jobs/batches/<int:pk>/stop/", batch.batch_stop, name="batch_stop"),
    path("jobs/batches/<int:pk>/undo/", batch.batch_undo, name="batch_undo"),
    path("jobs/queues/", dashboard.queues, name="queues"),
    path("jobs/types/", types.type_list, name="types"),
    path("jobs/workers/", dashboard.workers, name="workers"),
    path("jobs/workers/<int:pk>/", worker.worker_detail, name="worker"),
    path("jobs/workers/<int:pk>/<slug:verb>/", worker.worker_steer, name="worker_steer"),
    path("jobs/audit/", audit.audit_list, name="audit"),
    path("jobs/<jobs_number:pk>/", job.job_detail, name="detail"),
    path("jobs/<jobs_number:pk>/cancel/", job.job_cancel, name="cancel"),
    path("jobs/<jobs_number:pk>/restore/", job.job_restore, name="restore"),
    path("jobs/<jobs_number:pk>/reprocess/", job.job_reprocess, name="reprocess"),
    path("jobs/<jobs_number:pk>/priority/", job.job_priority, name="priority"),
    path("language/", preferences.language, name="language"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("healthz", probe.healthz, name="healthz"),
    path("readyz", probe.readyz, name="readyz"),
]
