"""What the jobs of an error share: values as they are, counted by jobs, without secrets."""

import re

import pytest
from django.db import connection
from django.test import Client

from jobs import dead_letters
from jobs.models import DeadLetterQueue
from jobs.store import transitions
from jobs.store.transitions import Failure, Run
from tests.web.test_dead_letters import failed

pytestmark = pytest.mark.django_db


def test_the_group_page_shows_what_its_jobs_share(sara: Client) -> None:
    for number in (5, 5, 7):
        entry = failed(f"no {number}", seconds=number)
    content = sara.get(f"/jobs/dead-letters/group/{entry.fingerprint}/").content.decode()
    assert "seconds = 5" in content
    assert "2 of 3" in content
    assert "Traceback: here" in content
    assert sara.get("/jobs/dead-letters/group/unknown/").status_code == 404


def test_what_they_share_shows_no_secret(sara: Client) -> None:
    for _ in range(2):
        entry = failed("no", task="t.collect", first=1, token="hunter2")
    content = sara.get(f"/jobs/dead-letters/group/{entry.fingerprint}/").content.decode()
    assert "token = " in content
    assert "hunter2" not in content


def test_different_secrets_are_not_shared(sara: Client) -> None:
    """Values are counted as they are: with the secrets hidden they would all be alike."""
    for first, token in enumerate(("one", "two", "three")):
        entry = failed("no", task="t.collect", first=first, headers=f"Authorization: {token}", token=token)
    content = sara.get(f"/jobs/dead-letters/group/{entry.fingerprint}/").content.decode()
    assert "No visible value of a named argument occurs twice." in content
    failed("no", task="t.collect", first=3, headers="Authorization: one", token="one")
    content = sara.get(f"/jobs/dead-letters/group/{entry.fingerprint}/").content.decode()
    assert "of 4" not in content, "only the secret tells it from others"


def test_what_they_share_is_counted_by_jobs(sara: Client) -> None:
    """One that was reprocessed and failed again has two entries."""
    again = failed("no", seconds=5)
    dead_letters.reprocess([again.id], by="sara")
    run = Run(id=again.job_id, runs=2)
    with connection.cursor() as cursor:
        assert transitions.claim(cursor, run, task_id=again.job.task_id, worker=1, queue="celery", priority=5)
        transitions.bury(cursor, run, Failure(error_class="ValueError", message="no", traceback=""), task="jobs.tasks.sleep")
    failed("no", seconds=5)
    failed("no", seconds=7)
    content = sara.get(f"/jobs/dead-letters/group/{again.fingerprint}/").content.decode()
    assert re.search("<b>3 jobs failed with this error and wait for a decision</b> · [0-9] failures? in this hour", content)
    assert DeadLetterQueue.objects.filter(fingerprint=again.fingerprint).count() == 4
    assert ("2 of 3" in content, "3 of 4" in content) == (True, False)
