"""An insert of one job that is due tells a sleeping leader the job itself, which then needs to ask nothing before it is sent."""

from django.db import migrations

# What is told is the transaction's only job unless something else is told as well: the first insert tells its row, whatever comes after
# it tells '' once (`jobs.told` says what was told so far). Both fit into one packet, so who hears the first has heard both.
# A row that was told and is changed before its commit is told as '' too: what was said of it may be wrong.
# Whoever may connect may LISTEN: a job is told only where all of them may read jobs, and insert them (jobs.leader.told, which reads this).
TELL = """
CREATE FUNCTION jobs_wake_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  found int;
  told text;
BEGIN
  IF current_setting('jobs.handed', true) = 'yes' OR current_setting('jobs.told', true) = 'all'
     OR pg_try_advisory_xact_lock_shared(7302, 1) THEN
    RETURN NULL;
  END IF;
  SELECT count(*), max(CASE WHEN length(args::text) + length(kwargs::text) + coalesce(length(options::text), 0) < 1000
                             AND status = 'pending' AND losses < 2 AND run_at <= clock_timestamp() THEN
           json_build_array(queue, id, task_id, task, args::text, kwargs::text, runs, attempts, max_retries, timeout, autoretry,
                            options::text, priority)::text END)
    INTO found, told FROM (SELECT * FROM made LIMIT 2) AS one_or_two;
  IF found = 0 THEN
    RETURN NULL;
  END IF;
  IF found > 1 OR told IS NULL OR octet_length(told) > 1200 OR current_setting('jobs.told', true) = 'one' OR EXISTS (
      SELECT FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND has_database_privilege(oid, current_database(), 'CONNECT')
         AND NOT (has_table_privilege(oid, TG_RELID, 'SELECT') AND has_table_privilege(oid, TG_RELID, 'INSERT'))) THEN
    told := '';
  END IF;
  PERFORM set_config('jobs.told', CASE told WHEN '' THEN 'all' ELSE 'one' END, true), pg_notify('jobs_due', told);
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION jobs_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('jobs.told', true) = 'all' OR pg_try_advisory_xact_lock_shared(7302, 1) THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('jobs.told', 'all', true), pg_notify('jobs_due', '');
  RETURN NULL;
END $$;
DROP TRIGGER jobs_wake_insert ON jobs_job;
DROP TRIGGER jobs_wake_update ON jobs_job;
CREATE TRIGGER jobs_wake_insert AFTER INSERT ON jobs_job
  REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION jobs_wake_inserted();
-- for each statement: a trigger for each row costs each claim and each end, though it is not for their columns
CREATE TRIGGER jobs_wake_update
  AFTER UPDATE OF run_at, priority, queue, task_id, task, args, kwargs, max_retries, timeout, autoretry, options ON jobs_job
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_wake();
"""

BEFORE = """
DROP TRIGGER jobs_wake_update ON jobs_job;
DROP TRIGGER jobs_wake_insert ON jobs_job;
DROP FUNCTION jobs_wake_inserted();
CREATE OR REPLACE FUNCTION jobs_wake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('jobs.handed', true) IS DISTINCT FROM 'yes' AND NOT pg_try_advisory_xact_lock_shared(7302, 1) THEN
    PERFORM pg_notify('jobs_due', '');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_wake_insert AFTER INSERT ON jobs_job
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_wake();
CREATE TRIGGER jobs_wake_update AFTER UPDATE OF run_at, priority, queue ON jobs_job
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_wake();
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0020_task_ids")]
    operations = [migrations.RunSQL(TELL, BEFORE)]
