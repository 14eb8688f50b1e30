"""Somebody who makes a job on the desk and looks at every page; prints the status of each answer as JSON."""

import json
import uuid

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from jobs import enqueue  # noqa: E402
from jobs.models import Job  # noqa: E402

PAGES = [
    "/", "/jobs/", "/jobs/?state=queued", "/jobs/?q=sleep", "/jobs/types/", "/jobs/queues/", "/jobs/workers/", "/jobs/dead-letters/",
    "/jobs/batches/", "/jobs/audit/", "/jobs/create/", "/jobs/create/?task=jobs.tasks.sleep", "/preferences/", "/admin/jobs/job/",
    "/admin/jobs/deadletterqueue/",
]  # fmt: skip

call_command("migrate", "--database=archive", verbosity=0)
call_command("migrate", verbosity=0)
client = Client(headers={"Host": "localhost"})
client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
token = str(uuid.uuid4())
form = {
    "task": "jobs.tasks.sleep",
    "argument-seconds": "1",
    "priority": "5",
    "max_retries": "3",
    "when": "now",
    "queue": "celery",
    "token": token,
}
answers = {f"POST {time}": client.post("/jobs/create/", form).status_code for time in (1, 2)}
number = Job.objects.get().pk
enqueue("jobs.tasks.sleep", kwargs={"seconds": 1})
for page in [*PAGES, f"/jobs/{number}/", f"/jobs/create/?from={number}", f"/admin/jobs/job/{number}/change/", "/jobs/export/?format=json"]:
    client.raise_request_exception = False
    answers[page] = client.get(page).status_code
answers["POST cancel"] = client.post(f"/jobs/{number}/cancel/").status_code
answers["missing"] = "Migrations" in client.get("/readyz").content.decode()
print(json.dumps(answers))
