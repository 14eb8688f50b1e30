"""A revocation of an id that no job has says for how long a call that has not seen it may still be committed."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("jobs", "0026_reopened")]
    operations = [
        migrations.AddField(
            model_name="storedresult",
            name="unseen_before",
            field=models.BigIntegerField(null=True, verbose_name="unseen by transactions before"),
        ),
        migrations.AddIndex(
            model_name="storedresult",
            index=models.Index(fields=["task_id"], name="jobs_storedresult_unseen", condition=Q(unseen_before__isnull=False)),
        ),
    ]
