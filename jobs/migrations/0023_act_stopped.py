"""The audit also tells of bulk actions that were stopped."""

from django.db import migrations, models

import jobs.models.audit


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0022_due_times"),
    ]

    operations = [
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
                    (jobs.models.audit.Verb["STOP"], "bulk action stopped"),
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
                    ("stop", "bulk action stopped"),
                ],
                verbose_name="what",
            ),
        ),
    ]
