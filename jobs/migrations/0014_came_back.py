"""Whether an error came back is read from an index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0013_room_on_pages"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="deadletterqueue",
            index=models.Index(
                condition=models.Q(("resolution", "resolved")), fields=["fingerprint", "resolved_at"], name="jobs_dlq_resolved"
            ),
        ),
    ]
