"""Room on each page of jobs: a claim and a completion stay on their page, and PostgreSQL logs what changed, not whole rows."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("jobs", "0012_error_groups")]
    operations = [migrations.RunSQL("ALTER TABLE jobs_job SET (fillfactor = 60)", "ALTER TABLE jobs_job RESET (fillfactor)")]
