"""Creation times that every clock can show, as due times are. One constraint for the numbers and the times: PostgreSQL reads the text
of each anew for each statement, and this one takes no longer than the two before. The next migration looks through the rows.
"""

from datetime import UTC, datetime

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models.functions import Greatest, Least
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

BOUND = """UPDATE jobs_job SET created_at = least(greatest(created_at, '1900-01-01+0'), '9998-01-01+0')
            WHERE NOT created_at BETWEEN '1900-01-01+0' AND '9999-01-01+0'"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0023_act_stopped")]
    operations = [
        migrations.RunSQL(BOUND, migrations.RunSQL.noop),
        migrations.RemoveConstraint("job", "jobs_job_max_retries"),
        migrations.RemoveConstraint("job", "jobs_job_times"),
        AddConstraintNotValid(
            "job",
            models.CheckConstraint(
                condition=models.Q(
                    GreaterThanOrEqual(Least(models.F("timeout") - 1, "max_retries"), 0),
                    GreaterThanOrEqual(Least("run_at", "created_at"), datetime(1900, 1, 1, tzinfo=UTC)),
                    LessThanOrEqual(Greatest("run_at", "created_at"), datetime(9999, 1, 1, tzinfo=UTC)),
                ),
                name="jobs_job_times",
            ),
        ),
    ]
