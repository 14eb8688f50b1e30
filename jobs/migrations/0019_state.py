"""One constraint instead of two: PostgreSQL reads the text of each anew for each statement."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0018_open_and_failed")]
    operations = [
        migrations.AddConstraint(
            "job",
            models.CheckConstraint(
                condition=models.Case(
                    models.When(finished_at__isnull=True, then=models.Q(status__in=["pending", "running"])),
                    default=models.Q(status__in=["completed", "failed", "cancelled"]),
                    output_field=models.BooleanField(),
                ),
                name="jobs_job_state",
            ),
        ),
        migrations.RemoveConstraint("job", "jobs_job_status"),
        migrations.RemoveConstraint("job", "jobs_job_ended_at"),
    ]
