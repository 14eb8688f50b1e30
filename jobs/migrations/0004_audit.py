"""The audit of what people did; its rows cannot be changed or deleted."""

from django.db import migrations, models

import jobs.domain.actors
import jobs.models.audit
import jobs.models.job
import jobs.models.json_text

KEEP = """
CREATE FUNCTION jobs_audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'records of jobs_audit are never changed';
END $$;
CREATE TRIGGER jobs_audit_keep BEFORE UPDATE OR DELETE ON jobs_audit FOR EACH ROW EXECUTE FUNCTION jobs_audit_keep();
"""
UNDO = "DROP TRIGGER jobs_audit_keep ON jobs_audit; DROP FUNCTION jobs_audit_keep();"


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_one_index_for_task_id"),
    ]

    operations = [
        migrations.CreateModel(
            name="Audit",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False, verbose_name="number")),
                ("at", models.DateTimeField(db_default=jobs.models.job.ClockTimestamp(), verbose_name="when")),
                ("actor", models.TextField(verbose_name="who")),
                (
                    "source",
                    models.TextField(
                        choices=[
                            (jobs.domain.actors.Source["PAGE"], "page"),
                            (jobs.domain.actors.Source["ADMIN"], "admin"),
                            (jobs.domain.actors.Source["COMMAND"], "command"),
                            (jobs.domain.actors.Source["API"], "API"),
                            (jobs.domain.actors.Source["CODE"], "code"),
                        ],
                        verbose_name="from where",
                    ),
                ),
                (
                    "verb",
                    models.TextField(
                        choices=[
                            (jobs.models.audit.Verb["CANCEL"], "cancelled"),
                            (jobs.models.audit.Verb["REPROCESS"], "run again"),
                            (jobs.models.audit.Verb["PRIORITY"], "priority changed"),
                            (jobs.models.audit.Verb["QUEUE"], "queue changed"),
                            (jobs.models.audit.Verb["FAIL"], "turned into a failure"),
                            (jobs.models.audit.Verb["DELETE"], "deleted"),
                            (jobs.models.audit.Verb["RESOLVE"], "marked as resolved"),
                            (jobs.models.audit.Verb["NOTIFY"], "notice sent again"),
                        ],
                        verbose_name="what",
                    ),
                ),
                ("job", models.BigIntegerField(verbose_name="job")),
                ("name", models.TextField(db_default="", verbose_name="name")),
                ("before", jobs.models.json_text.JSONTextField(verbose_name="before")),
                ("after", jobs.models.json_text.JSONTextField(verbose_name="after")),
                ("note", models.TextField(db_default="", verbose_name="note")),
            ],
            options={
                "verbose_name": "audit record",
                "verbose_name_plural": "audit",
                "ordering": ["-id"],
                "default_permissions": ["view"],
                "indexes": [
                    models.Index(fields=["job", "-id"], name="jobs_audit_job"),
                    models.Index(fields=["actor", "-id"], name="jobs_audit_actor"),
                    models.Index(fields=["verb", "-id"], name="jobs_audit_verb"),
                ],
            },
        ),
        migrations.RunSQL(KEEP, UNDO),
    ]
