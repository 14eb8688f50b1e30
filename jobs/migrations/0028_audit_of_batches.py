"""Records of the audit name the bulk action that did it; PostgreSQL rewrites no row for that."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0027_unseen_revocations")]
    operations = [
        migrations.AddField(
            model_name="audit",
            name="batch",
            field=models.BigIntegerField(null=True, verbose_name="bulk action"),
        ),
    ]
