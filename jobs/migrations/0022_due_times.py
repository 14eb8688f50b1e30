"""Due times that every clock can show. One constraint with the time limit: PostgreSQL reads the text of each anew for each statement."""

from datetime import UTC, datetime

from django.db import migrations, models

BOUND = """UPDATE jobs_job SET run_at = least(greatest(run_at, '1900-01-01+0'), '9998-01-01+0')
            WHERE NOT run_at BETWEEN '1900-01-01+0' AND '9999-01-01+0'"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0021_told")]
    operations = [
        migrations.RunSQL(BOUND, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "job",
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(("timeout__isnull", True), ("timeout__gte", 1), _connector="OR"),
                    ("run_at__gte", datetime(1900, 1, 1, tzinfo=UTC)),
                    ("run_at__lte", datetime(9999, 1, 1, tzinfo=UTC)),
                ),
                name="jobs_job_times",
            ),
        ),
        migrations.RemoveConstraint("job", "jobs_job_timeout"),
    ]
