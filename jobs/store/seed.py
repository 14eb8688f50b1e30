"""Rows that look like days of work, to try the desk at size; they are made by SQL and never run."""

from collections.abc import Iterator
from typing import Any, Final

from django.db import connections, transaction

from jobs.conf import configuration
from jobs.domain.fingerprint import fingerprint

CHUNK: Final = 20_000
QUEUE: Final = "seeded"  # of the jobs that wait: no worker serves it by itself
_DAYS: Final = 6  # that the ended jobs are spread over; fewer than they are kept
# task, name, class and message of its error
_KINDS: Final = (
    ("billing.charge_card", "Invoice", "ConnectionError", "api.payments.example:443: no answer for invoice %s"),
    ("mail.send_receipt", "Receipt for order", "SMTPRecipientsRefused", "550 customer%s@mail.example: no such user"),
    ("reports.build", "تقرير المبيعات", "ValueError", "line %s of the report has no price"),
    ("images.resize", "Picture of product", "OSError", "/srv/media/%s.jpg: the file is truncated"),
    ("webhooks.deliver", "order.paid", "HTTPError", "the server answered 503 to delivery %s"),
    ("contacts.import_csv", "استيراد جهات الاتصال", "KeyError", "'phone' in line %s"),
    ("search.index", "Catalogue", "TimeoutError", "shard %s did not answer in 30 s"),
    ("billing.issue_invoice", "فاتورة", "TypeError", "order %s: unsupported operand type(s) for +: 'int' and 'str'"),
)
_JOBS: Final = """
WITH kinds AS (SELECT * FROM unnest(%(tasks)s::text[], %(names)s::text[], %(errors)s::text[]) WITH ORDINALITY k (task, name, error, place)),
rows AS (
  SELECT n, k.*, random() AS chance, clock_timestamp() - make_interval(secs => %(age)s * (%(total)s - n) / %(total)s) AS at,
         n %% %(each)s = 0 AND n / %(each)s <= %(dead)s AS dead
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n JOIN kinds k ON k.place = 1 + (n * 7919 / 13) %% %(kinds)s),
kept AS (SELECT *, CASE WHEN dead THEN 'failed' WHEN chance < 0.004 THEN 'cancelled' WHEN chance < 0.008 THEN 'pending'
                        ELSE 'completed' END AS status, CASE WHEN dead THEN 4 WHEN chance < 0.008 THEN 0 ELSE 1 END AS tries FROM rows)
INSERT INTO jobs_job (name, task, kwargs, queue, priority, status, created_at, run_at, started_at, finished_at,
                      attempts, runs, timeout, last_error)
SELECT name || ' ' || n, task, json_build_object('order', n, 'customer', 'c' || n %% 9973),
       CASE status WHEN 'pending' THEN %(queue)s ELSE split_part(task, '.', 1) END, (n * 31 / 7) %% 10, status, at,
       CASE status WHEN 'pending' THEN clock_timestamp() + make_interval(secs => (chance - 0.006) * 1e8) ELSE at END,
       CASE WHEN status IN ('completed', 'failed') THEN at + make_interval(secs => chance) END,
       CASE WHEN status <> 'pending' THEN at + make_interval(secs => chance * 9) END,
       tries, tries, 3600, CASE status WHEN 'failed' THEN format(error, n) ELSE '' END
  FROM kept ORDER BY n RETURNING id"""
_LETTERS: Final = """
WITH kinds AS (SELECT * FROM unnest(%(tasks)s::text[], %(fingerprints)s::text[]) k (task, print)),
dead AS (SELECT j.*, k.print, split_part(last_error, ': ', 1) AS error_class, substr(last_error, strpos(last_error, ': ') + 2) AS message
           FROM jobs_job j JOIN kinds k USING (task) WHERE id = ANY(%(ids)s) AND status = 'failed'),
tried AS (INSERT INTO jobs_attempt (job_id, run, outcome, error_class, message, traceback, worker, started_at, finished_at)
          SELECT id, runs, 'failed', error_class, message, '', 'worker@seeded', started_at, finished_at FROM dead)
INSERT INTO jobs_deadletterqueue (job_id, error_class, message, fingerprint, attempts, failed_at, notify_after)
SELECT id, error_class, message, print, attempts, finished_at, NULL FROM dead ORDER BY finished_at, id"""


def seed(jobs: int, dead_letters: int) -> Iterator[int]:
    """Insert so many jobs, of which so many are dead letters; yields how many are there after each transaction.

    The other jobs have completed, a few were cancelled or wait. No notice goes out for the dead letters.
    """
    values: dict[str, Any] = {
        "tasks": [kind[0] for kind in _KINDS],
        "names": [kind[1] for kind in _KINDS],
        "errors": [f"{kind[2]}: {kind[3]}" for kind in _KINDS],
        "fingerprints": [fingerprint(kind[0], kind[2], kind[3] % 1) for kind in _KINDS],
        "kinds": len(_KINDS), "queue": QUEUE, "age": _DAYS * 86_400, "total": jobs, "dead": dead_letters,
        "each": max(jobs // max(dead_letters, 1), 1),
    }  # fmt: skip
    alias = configuration().database
    for first in range(1, jobs + 1, CHUNK):
        last = min(first + CHUNK - 1, jobs)
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(_JOBS, {**values, "first": first, "last": last})
            cursor.execute(_LETTERS, {**values, "ids": [row[0] for row in cursor.fetchall()]})
        yield last
    with connections[alias].cursor() as cursor:
        for table in ("jobs_job", "jobs_attempt", "jobs_deadletterqueue"):
            cursor.execute(f"VACUUM (ANALYZE) {table}" if not connections[alias].in_atomic_block else f"ANALYZE {table}")
