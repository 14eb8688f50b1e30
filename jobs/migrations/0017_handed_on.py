"""A job that is inserted as running (`jobs.store.links.complete_handing_on`) does not wake the leader."""

from django.db import migrations

WAKE = """
CREATE OR REPLACE FUNCTION jobs_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('jobs.handed', true) IS DISTINCT FROM 'yes' AND NOT pg_try_advisory_xact_lock_shared(7302, 1) THEN
    PERFORM pg_notify('jobs_due', '');
  END IF;
  RETURN NULL;
END $$;
"""

BEFORE = """
CREATE OR REPLACE FUNCTION jobs_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock_shared(7302, 1) THEN
    PERFORM pg_notify('jobs_due', '');
  END IF;
  RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0016_outage")]
    operations = [migrations.RunSQL(WAKE, BEFORE)]
