"""Since when Redis is away is kept, so that the pages can say it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0015_preferences"),
    ]

    operations = [
        migrations.CreateModel(
            name="Outage",
            fields=[
                ("part", models.TextField(primary_key=True, serialize=False, verbose_name="part")),
                ("since", models.DateTimeField(verbose_name="away since")),
                ("seen_at", models.DateTimeField(verbose_name="last seen away")),
            ],
            options={
                "verbose_name": "outage",
                "verbose_name_plural": "outages",
                "default_permissions": [],
            },
        ),
    ]
