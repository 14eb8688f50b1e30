"""Ids that begin with the time lie side by side in their index (`jobs.domain.task_ids`)."""

from django.db import migrations, models

import jobs.models.job


class Migration(migrations.Migration):
    dependencies = [("jobs", "0019_state")]
    operations = [
        migrations.AlterField(
            "job",
            "task_id",
            models.TextField(db_collation="C", db_default=jobs.models.job.TaskId(), editable=False, verbose_name="Celery id"),
        ),
    ]
