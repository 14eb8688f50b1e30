"""Error groups have an owner and can be snoozed; undoing a cancel has its verb in the audit."""

from django.db import migrations, models

import jobs.models.audit


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0011_audit_of_copies"),
    ]

    operations = [
        migrations.CreateModel(
            name="ErrorGroup",
            fields=[
                ("fingerprint", models.TextField(primary_key=True, serialize=False, verbose_name="error group")),
                ("owner", models.TextField(db_default="", verbose_name="owner")),
                ("snoozed_until", models.DateTimeField(null=True, verbose_name="notices snoozed until")),
            ],
            options={
                "verbose_name": "error group",
                "verbose_name_plural": "error groups",
                "default_permissions": [],
            },
        ),
        migrations.RemoveField(
            model_name="deadletterqueue",
            name="owner",
        ),
        migrations.AddField(
            model_name="audit",
            name="error_group",
            field=models.TextField(db_default="", verbose_name="error group"),
        ),
        migrations.AddField(
            model_name="deadletterqueue",
            name="notify_asked",
            field=models.BooleanField(db_default=False, verbose_name="notice asked for"),
        ),
        migrations.AlterField(
            model_name="audit",
            name="verb",
            field=models.TextField(
                choices=[
                    (jobs.models.audit.Verb["CANCEL"], "cancelled"),
                    (jobs.models.audit.Verb["REPROCESS"], "run again"),
                    (jobs.models.audit.Verb["AGAIN"], "copied to a new job"),
                    (jobs.models.audit.Verb["PRIORITY"], "priority changed"),
                    (jobs.models.audit.Verb["QUEUE"], "queue changed"),
                    (jobs.models.audit.Verb["FAIL"], "turned into a failure"),
                    (jobs.models.audit.Verb["DELETE"], "deleted"),
                    (jobs.models.audit.Verb["RESOLVE"], "marked as resolved"),
                    (jobs.models.audit.Verb["NOTIFY"], "notice sent again"),
                    (jobs.models.audit.Verb["DRAIN"], "worker drained"),
                    (jobs.models.audit.Verb["RESUME"], "worker resumed"),
                    (jobs.models.audit.Verb["SHUTDOWN"], "worker shut down"),
                    (jobs.models.audit.Verb["RESTORE"], "cancellation undone"),
                    (jobs.models.audit.Verb["OWN"], "owner changed"),
                    (jobs.models.audit.Verb["SNOOZE"], "notices snoozed"),
                    (jobs.models.audit.Verb["WAKE"], "snooze ended"),
                ],
                verbose_name="what",
            ),
        ),
        migrations.AlterField(
            model_name="batch",
            name="verb",
            field=models.TextField(
                choices=[
                    ("cancel", "cancelled"),
                    ("reprocess", "run again"),
                    ("again", "copied to a new job"),
                    ("priority", "priority changed"),
                    ("queue", "queue changed"),
                    ("fail", "turned into a failure"),
                    ("delete", "deleted"),
                    ("resolve", "marked as resolved"),
                    ("notify", "notice sent again"),
                    ("drain", "worker drained"),
                    ("resume", "worker resumed"),
                    ("shutdown", "worker shut down"),
                    ("restore", "cancellation undone"),
                    ("own", "owner changed"),
                    ("snooze", "notices snoozed"),
                    ("wake", "snooze ended"),
                ],
                verbose_name="what",
            ),
        ),
        migrations.AddIndex(
            model_name="audit",
            index=models.Index(
                condition=models.Q(("error_group", ""), _negated=True), fields=["error_group", "-id"], name="jobs_audit_group"
            ),
        ),
        migrations.AddIndex(
            model_name="deadletterqueue",
            index=models.Index(fields=["fingerprint", "failed_at"], name="jobs_dlq_times"),
        ),
        migrations.AddIndex(
            model_name="errorgroup",
            index=models.Index(condition=models.Q(("snoozed_until__isnull", False)), fields=["snoozed_until"], name="jobs_group_snoozed"),
        ),
    ]
