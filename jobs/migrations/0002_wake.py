"""The trigger that wakes the leader, and how the table of jobs is vacuumed."""

from django.db import migrations

# A NOTIFY takes one lock for the whole server until its commit is flushed, so only a leader that sleeps is notified:
# it holds (7302, 1) exclusively then. Claim and complete set none of the three columns.
WAKE = """
CREATE FUNCTION jobs_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock_shared(7302, 1) THEN
    PERFORM pg_notify('jobs_due', '');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_wake_insert AFTER INSERT ON jobs_job
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_wake();
CREATE TRIGGER jobs_wake_update AFTER UPDATE OF run_at, priority, queue ON jobs_job
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_wake();
ALTER TABLE jobs_job SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
"""

UNDO = """
ALTER TABLE jobs_job RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor);
DROP TRIGGER jobs_wake_update ON jobs_job;
DROP TRIGGER jobs_wake_insert ON jobs_job;
DROP FUNCTION jobs_wake();
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]
    operations = [migrations.RunSQL(WAKE, UNDO)]
