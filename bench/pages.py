"""How long the pages take on the database in use: `manage.py seed_jobs` first, then `python -m bench.pages`.

In this process, without HTTP: the time until the answer is whole, and how many queries it took.
"""

import os
import statistics
import sys
import time
from typing import Any

import django

ROUNDS = 20


def main() -> None:
    """A line for each page: least, median and p95 in milliseconds, queries at most, kilobytes; on a busy machine the least says most."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")
    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    settings.ALLOWED_HOSTS = ["testserver"]
    user = get_user_model().objects.filter(is_superuser=True).first()
    if user is None:
        sys.exit("make a superuser first: manage.py createsuperuser")
    client = Client()
    client.force_login(user)
    print(f"{'page':<44}{'least':>9}{'median':>9}{'p95':>9}{'queries':>9}{'kB':>7}")
    for address in addresses():
        times, queries, answer = [], 0, None
        for _ in range(ROUNDS):
            with CaptureQueriesContext(connection) as captured:
                begun = time.perf_counter()
                answer = client.get(address)
                times.append((time.perf_counter() - begun) * 1000)
            queries = max(queries, len(captured))
        size = len(answer.content) / 1000 if answer is not None else 0
        print(
            f"{address[:43]:<44}{min(times):>9.0f}{statistics.median(times):>9.0f}{quantile(times):>9.0f}{queries:>9}{size:>7.0f}",
            flush=True,
        )


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
