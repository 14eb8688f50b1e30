"""What a person chose for the desk goes along with the account."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("jobs", "0014_came_back"),
    ]

    operations = [
        migrations.CreateModel(
            name="Preference",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                ("language", models.CharField(blank=True, default="", max_length=20, verbose_name="language")),
                ("timezone", models.CharField(blank=True, default="", max_length=100, verbose_name="time zone")),
                ("theme", models.CharField(blank=True, default="", max_length=10, verbose_name="theme")),
            ],
            options={"verbose_name": "preference", "verbose_name_plural": "preferences", "default_permissions": []},
        ),
    ]
