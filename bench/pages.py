"""How long the pages take on the database in use: `manage.py seed_jobs` first, then `python -m bench.pages`.

In this process, without HTTP: the time until the answer is whole, the processor time of this process and of the server's process for
this session (what it would take with a core for each; the server on the same Linux), and how many queries it took.
"""

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import django

ROUNDS = 20


def main() -> None:
    """A line for each page: least and p95, median and p95 of processor time, in milliseconds; queries at most; kilobytes."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")
    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.cache import cache
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    settings.ALLOWED_HOSTS = ["testserver"]
    from jobs.store import stats, types

    user = get_user_model().objects.filter(is_superuser=True).first()
    if user is None:
        sys.exit("make a superuser first: manage.py createsuperuser")
    client = Client()
    client.force_login(user)
    print(f"{'page':<44}{'least':>9}{'p95':>9}{'CPU':>9}{'CPU p95':>9}{'queries':>9}{'kB':>7}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        processor = Processor(cursor.fetchone()[0])
    for address in addresses():
        times, spent, queries, answer = [], [], 0, None
        for _ in range(ROUNDS):
            cache.clear()  # nothing that is kept for other viewers
            stats.migrations_missing()  # looked at once in a minute
            types.usual()  # as this
            with CaptureQueriesContext(connection) as captured:
                begun, before = time.perf_counter(), processor.spent()
                answer = client.get(address)
                times.append((time.perf_counter() - begun) * 1000)
                spent.append(processor.spent() - before)
            queries = max(queries, len(captured))
        size = len(answer.content) / 1000 if answer is not None else 0
        print(
            f"{address[:43]:<44}{min(times):>9.0f}{quantile(times):>9.0f}{statistics.median(spent):>9.0f}{quantile(spent):>9.0f}"
            f"{queries:>9}{size:>7.0f}",
            flush=True,
        )


class Processor:
    """Processor time of this process and of one of the server's."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/schedstat")

    def spent(self) -> float:
        """Milliseconds until now; without the server's where its process cannot be seen."""
        server = int(self._file.read_text().split()[0]) / 1e6 if self._file.exists() else 0.0
        return time.process_time() * 1000 + server


def quantile(times: list[float]) -> float:
    """p95."""
    return sorted(times)[round(len(times) * 0.95) - 1]


def addresses() -> list[str]:
    """Every page that reads many rows."""
    from jobs.models import DeadLetterQueue, Job

    jobs = Job.objects.order_by("-pk")
    middle: Any = jobs.values_list("pk", flat=True).first() or 0
    group = DeadLetterQueue.objects.order_by("-pk").values_list("fingerprint", flat=True).first()
    lists = [
        "", "?status=queued", "?status=scheduled", "?status=failed", "?status=cancelled", "?status=completed", f"?before={middle // 2}",
        f"?after={middle // 2}&status=failed", "?q=Invoice", "?q=invoice+17", "?q=nothinglikeit", f"?q={middle - 77}",
        "?task=mail.send_receipt",
        "?error=KeyError", "?priority=9", "?queue=nosuchqueue", "?queue=seeded",
        "?creator=sara", "?worker=7", "?since=2026-01-01T00:00",
        "?until=2026-01-01T00:00",
    ]  # fmt: skip
    waiting = jobs.filter(status="pending").values_list("pk", flat=True).first()
    details = [f"/jobs/{number}/" for number in (waiting, middle) if number]
    groups = [f"/jobs/dead-letters/group/{group}/"] if group else []
    letters = ["/jobs/dead-letters/", "/jobs/dead-letters/?show=resolved", "/jobs/dead-letters/?q=invoice", *groups]
    rest = [
        "/jobs/queues/",
        "/jobs/workers/",
        "/jobs/types/",
        "/jobs/audit/",
        "/jobs/batches/",
        "/admin/jobs/job/",
        "/admin/jobs/deadletterqueue/",
    ]
    return ["/", *(f"/jobs/{query}" for query in lists), *details, *letters, *rest]


if __name__ == "__main__":
    main()
