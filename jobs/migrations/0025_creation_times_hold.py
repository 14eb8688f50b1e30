"""What was inserted while migration 0024 waited for the table, and then a look at all rows, which keeps none of them locked."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations

BOUND = """UPDATE jobs_job SET created_at = least(greatest(created_at, '1900-01-01+0'), '9998-01-01+0')
            WHERE NOT created_at BETWEEN '1900-01-01+0' AND '9999-01-01+0'"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0024_creation_times")]
    operations = [migrations.RunSQL(BOUND, migrations.RunSQL.noop), ValidateConstraint("job", "jobs_job_times")]
