"""The page of a job and that of an error show where the project's own code failed, without secrets."""

import pytest
from django.db import connection
from django.test import Client

from jobs import enqueue
from jobs.models import DeadLetterQueue
from jobs.store import transitions
from jobs.store.transitions import Failure, Run

pytestmark = pytest.mark.django_db
TRACEBACK = """Traceback (most recent call last):
  File "/srv/lib/python3.11/site-packages/celery/app/trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
  File "/srv/shop/<orders>.py", line 41, in charge
    pay(password="hunter2")
ValueError: no"""


def failed(traceback: str) -> tuple[str, str]:
    """The addresses of the pages that show it."""
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 0})
    with connection.cursor() as cursor:
        run = Run(id=job.id, runs=1)
        assert transitions.claim(cursor, run, task_id=job.task_id, worker=1, queue=job.queue, priority=job.priority)
        transitions.bury(cursor, run, Failure(error_class="ValueError", message="no", traceback=traceback), task=job.task)
    return f"/jobs/{job.id}/", f"/jobs/dead-letters/group/{DeadLetterQueue.objects.get().fingerprint}/"


def test_own_frames_stand_out_and_others_are_folded(admin_client: Client) -> None:
    admin_client.cookies["django_language"] = "en"
    for address in failed(TRACEBACK):
        page = admin_client.get(address).content.decode()
        assert "/srv/shop/&lt;orders&gt;.py:41 charge" in page
        assert '<summary dir="auto">1 library frame</summary>' in page
        assert page.count('class="frame-own"') == 1
        assert "hunter2" not in page


def test_an_error_that_reads_like_a_frame_of_a_huge_line_is_shown(admin_client: Client) -> None:
    for address in failed(f'ValueError: x\n  File "a.py", line {"9" * 5_000}, in f'):
        answer = admin_client.get(address)
        assert answer.status_code == 200, address
        assert "9" * 5_000 in answer.content.decode()
