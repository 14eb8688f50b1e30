"""Groups of open dead letters are counted in an index alone; words are looked for among the jobs that failed, not among all."""

from django.db import migrations, models

# The condition stands in `jobs.store.search.FAILED`, letter for letter: PostgreSQL sees by it that the index may be used.
WORDS = """CREATE INDEX jobs_search_failed ON jobs_search USING gin (words) WHERE words @@ '''=error:'':*'::tsquery"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0017_handed_on")]
    operations = [
        migrations.RunSQL(WORDS, "DROP INDEX jobs_search_failed"),
        migrations.AddIndex(
            "deadletterqueue",
            models.Index(
                fields=["fingerprint"],
                include=["failed_at", "id", "job"],
                condition=models.Q(resolution="open"),
                name="jobs_dlq_open",
            ),
        ),
    ]
