"""Bulk actions that go on in the background."""

from django.db import migrations, models

import jobs.models.job
import jobs.models.json_text


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0004_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, verbose_name="number")),
                (
                    "verb",
                    models.TextField(
                        choices=[
                            ("cancel", "cancelled"),
                            ("reprocess", "run again"),
                            ("priority", "priority changed"),
                            ("queue", "queue changed"),
                            ("fail", "turned into a failure"),
                            ("delete", "deleted"),
                            ("resolve", "marked as resolved"),
                            ("notify", "notice sent again"),
                        ],
                        verbose_name="what",
                    ),
                ),
                ("entries", models.BooleanField(db_default=False, verbose_name="of the dead letter queue")),
                ("actor", models.TextField(verbose_name="who")),
                (
                    "source",
                    models.TextField(
                        choices=[("page", "page"), ("admin", "admin"), ("command", "command"), ("api", "API"), ("code", "code")],
                        verbose_name="from where",
                    ),
                ),
                ("ids", jobs.models.json_text.JSONTextField(verbose_name="numbers")),
                ("total", models.IntegerField(verbose_name="all")),
                ("options", jobs.models.json_text.JSONTextField(verbose_name="options")),
                ("pace", models.IntegerField(null=True, verbose_name="per second")),
                ("trial_job", models.BigIntegerField(null=True, verbose_name="trial")),
                (
                    "state",
                    models.TextField(
                        choices=[("trial", "waiting for the trial"), ("running", "in progress"), ("done", "done"), ("stopped", "stopped")],
                        verbose_name="state",
                    ),
                ),
                ("place", models.IntegerField(db_default=0, verbose_name="processed")),
                ("done", models.IntegerField(db_default=0, verbose_name="done")),
                ("reasons", jobs.models.json_text.JSONTextField(verbose_name="left as they were")),
                ("remark", models.TextField(db_default="", verbose_name="remark")),
                ("created_at", models.DateTimeField(db_default=jobs.models.job.ClockTimestamp(), verbose_name="created at")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started at")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="finished at")),
            ],
            options={
                "verbose_name": "bulk action",
                "verbose_name_plural": "bulk actions",
                "ordering": ["-id"],
                "default_permissions": [],
                "indexes": [models.Index(condition=models.Q(("state__in", ["trial", "running"])), fields=["id"], name="jobs_batch_active")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["trial", "running", "done", "stopped"])), name="jobs_batch_state"
                    ),
                    models.CheckConstraint(condition=models.Q(("done__gte", 0), ("place__gte", 0)), name="jobs_batch_place"),
                ],
            },
        ),
    ]
