"""A job with much in it: no list reads it."""

import re

import pytest
from django.test import Client

from jobs.models import DeadLetterQueue
from tests.rows import job_in
from tests.web.test_size import queries

pytestmark = pytest.mark.django_db
LONG = ["jobs_job.args", "jobs_job.kwargs", "jobs_job.result", "jobs_job.result_meta", "jobs_job.options", "jobs_deadletterqueue.traceback"]
LISTS = {
    "/": [], "/jobs/": [], "/jobs/?status=failed": [], "/jobs/dead-letters/": [], "/jobs/workers/": [],
    "/admin/jobs/job/": [], "/admin/jobs/deadletterqueue/": [],
    "/jobs/dead-letters/group/{}/": ["jobs_job.kwargs", "jobs_deadletterqueue.traceback"],  # what they share, and the newest
}  # fmt: skip


@pytest.mark.parametrize("address", LISTS)
def test_no_list_reads_what_may_be_long(admin_client: Client, address: str) -> None:
    job_in("failed")
    asked = " ".join(queries(admin_client, address.format(DeadLetterQueue.objects.get().fingerprint))).replace('"', "")
    assert [name for name in LONG if re.search(rf"{name}(::text)?(,| AS| FROM)", asked)] == LISTS[address]
