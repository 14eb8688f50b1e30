"""A batch may be a preview first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0007_canvas"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="batch",
            name="jobs_batch_state",
        ),
        migrations.AlterField(
            model_name="batch",
            name="state",
            field=models.TextField(
                choices=[
                    ("draft", "preview"),
                    ("trial", "waiting for the trial"),
                    ("running", "in progress"),
                    ("done", "done"),
                    ("stopped", "stopped"),
                ],
                verbose_name="state",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["draft", "trial", "running", "done", "stopped"])), name="jobs_batch_state"
            ),
        ),
    ]
