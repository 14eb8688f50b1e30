"""The index that finds jobs by words: a table of its own, so that whoever inserts or runs a job does not pay for it.

The leader fills it (jobs.store.search). No foreign key: a row whose job is gone finds nothing until it is removed.
`attempt` is the newest attempt whose error is among the words.
"""

from django.db import migrations

TABLE = """
CREATE TABLE jobs_search (job bigint PRIMARY KEY, words tsvector NOT NULL, attempt bigint NOT NULL DEFAULT 0);
CREATE INDEX jobs_search_words ON jobs_search USING gin (words);
CREATE INDEX jobs_search_attempt ON jobs_search (attempt) WHERE attempt > 0;
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0008_batch_preview")]
    operations = [migrations.RunSQL(TABLE, "DROP TABLE jobs_search")]
