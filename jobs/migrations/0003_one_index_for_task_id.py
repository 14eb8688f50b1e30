"""task_id is unique by one index: unique=True adds a second one for LIKE, which every insert would pay for."""

from django.db import migrations, models
from django.db.models.functions import Cast

import jobs.models.job


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_wake")]
    operations = [
        migrations.AlterField(
            model_name="job",
            name="task_id",
            field=models.TextField(
                db_collation="C",
                db_default=Cast(jobs.models.job.RandomUUID(), models.TextField()),
                editable=False,
                verbose_name="Celery id",
            ),
        ),
        migrations.AddConstraint(model_name="job", constraint=models.UniqueConstraint(fields=("task_id",), name="jobs_job_task_id")),
    ]
