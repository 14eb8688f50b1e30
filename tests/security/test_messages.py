"""Who can write to Redis can stop work, but can run nothing: messages are signed, and each runs at most once."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from jobs import enqueue
from jobs.celery_app import signing
from jobs.leader import publish
from jobs.models import Attempt, Job
from jobs.store import broker
from tests.waiting import until
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
LANE = ("celery", 4)
KEY = "jobs:celery\x06\x164"


@pytest.fixture
def redis() -> Iterator[Any]:
    with broker.client(settings.CELERY_BROKER_URL) as client:
        yield client


def message_for(job: Job, options: str | None = None, **changes: Any) -> dict[str, Any]:
    """The message that the leader would send for the job's next run."""
    row = publish.Row(
        id=job.id, task_id=job.task_id, task=job.task, args=json.dumps(job.args), kwargs=json.dumps(job.kwargs), runs=job.runs,
        attempts=job.attempts, max_retries=job.max_retries, timeout=job.timeout, autoretry=job.autoretry, options=options,
        priority=job.priority,
    )  # fmt: skip
    message: dict[str, Any] = json.loads(publish.message(row, LANE))
    message["headers"].update(changes)
    return message


def forged(job: Job) -> dict[str, Any]:
    """Signed with another key."""
    message = message_for(job)
    text = f"{job.id}\0{job.runs + 1}\0{message['body']}".encode()
    message["headers"]["sig"] = hmac.new(b"a guess", text, hashlib.sha256).hexdigest()
    return message


def altered(job: Job) -> dict[str, Any]:
    message = message_for(job)
    message["body"] = message["body"].replace("0.0", "0.1")
    return message


def renamed(job: Job) -> dict[str, Any]:
    """Another task under a good signature."""
    return message_for(job, task="jobs.tasks.fail")


def of_another_tenant(job: Job) -> dict[str, Any]:
    return message_for(job, _schema_name="another")


def expired(job: Job) -> dict[str, Any]:
    return message_for(job, expires="2000-01-01T00:00:00+00:00")


def of_another_job(job: Job) -> dict[str, Any]:
    return message_for(job, job_id=job.id + 1)


def unsigned(job: Job) -> dict[str, Any]:
    message = message_for(job)
    del message["headers"]["sig"]
    return message


def pickled(job: Job) -> dict[str, Any]:
    """Would run code while it is read, if anything but JSON were read."""
    message = message_for(job)
    return message | {"content-type": "application/x-python-serialize", "content-encoding": "binary", "body": "gASVCgAAAA=="}


def without_headers(job: Job) -> dict[str, Any]:
    return {key: value for key, value in message_for(job).items() if key != "headers"} | {"headers": {}}


FORGERIES: list[Callable[[Job], dict[str, Any]]] = [
    forged,
    altered,
    renamed,
    of_another_tenant,
    expired,
    of_another_job,
    unsigned,
    pickled,
    without_headers,
]


def test_forged_altered_and_foreign_messages_run_nothing(tmp_path: Path, redis: Any) -> None:
    """No leader sends anything, so only a forgery could run the jobs they name. Afterwards the worker is as before."""
    log = tmp_path / "log"
    with running_worker(log, JOBS_LEADER_CHILD="False"):
        for make in FORGERIES:
            job = enqueue("jobs.tasks.sleep", args=[0.0])
            redis.lpush(KEY, json.dumps(make(job)))
            until(lambda: not redis.exists(KEY), timeout=15, what=make.__name__)
        good = enqueue("jobs.tasks.sleep", args=[0.0])
        redis.lpush(KEY, json.dumps(message_for(good)))
        until(lambda: Job.objects.get(id=good.id).status == "completed", timeout=15, what="the genuine one runs")
        assert set(Job.objects.exclude(id=good.id).values_list("status", "runs")) == {("pending", 0)}
        lines = [line for line in log.read_text().splitlines() if "refused" in line]
    named = sorted(line.partition("(task ")[2].partition(")")[0] for line in lines)
    assert named == ["'None'", "'jobs.tasks.fail'", "'jobs.tasks.sleep'"], "each is told once a minute"
    assert "Traceback" not in log.read_text()


def test_a_replayed_message_runs_nothing(tmp_path: Path, redis: Any) -> None:
    with running_worker(tmp_path / "log", JOBS_LEADER_CHILD="False"):
        job = enqueue("jobs.tasks.sleep", args=[0.0])
        text = json.dumps(message_for(job))
        redis.lpush(KEY, text)
        until(lambda: Job.objects.get(id=job.id).status == "completed", timeout=15)
        finished = Job.objects.get(id=job.id).finished_at
        for _ in range(5):
            redis.lpush(KEY, text)
        after = enqueue("jobs.tasks.sleep", args=[0.0])
        redis.lpush(KEY, json.dumps(message_for(after)))
        until(lambda: Job.objects.get(id=after.id).status == "completed", timeout=15)
    job.refresh_from_db()
    assert (job.runs, job.finished_at) == (1, finished)
    assert not Attempt.objects.exists()


def test_a_key_that_is_being_replaced_still_counts(settings: Any) -> None:
    """A leader of the old release signs for workers of the new one, until it is replaced too."""
    message = message_for(enqueue("jobs.tasks.sleep", args=[0.0]))
    headers, body, old = message["headers"], message["body"], settings.SECRET_KEY
    settings.SECRET_KEY = "the next one"
    assert not signing.verify(headers, body)
    settings.SECRET_KEY_FALLBACKS = ["an older one", old]
    assert signing.verify(headers, body)
    assert not signing.verify(headers, body.replace("0.0", "0.1"))
    settings.SECRET_KEY_FALLBACKS = []
    assert not signing.verify(headers, body)


def test_a_signature_is_for_one_run_of_one_task_with_one_body() -> None:
    job = enqueue("jobs.tasks.sleep", args=[0.0])
    message = message_for(job)
    headers, body = message["headers"], message["body"]
    assert signing.verify(headers, body)
    assert not signing.verify(headers, body.replace("0.0", "0.1"))
    for name, value in {
        "job_id": job.id + 1, "runs": 2, "id": "another", "task": "t.mark", "job_queue": "other", "job_priority": 9, "retries": 1,
        "max_retries": None, "job_timeout": None, "autoretry": False, "alone": True, "sig": "",
    }.items():  # fmt: skip
        assert not signing.verify(headers | {name: value}, body), name
    assert not signing.verify({}, body)


def test_a_signature_is_for_all_headers() -> None:
    """What a caller gave too: a tenant, a time to expire at, whether a result is kept."""
    options = {"headers": {"_schema_name": "bank_a", "headers": {"_schema_name": "bank_a"}}}
    message = message_for(enqueue("jobs.tasks.sleep", args=[0.0]), options=json.dumps(options))
    headers, body = message["headers"], message["body"]
    assert headers["_schema_name"] == "bank_a"
    assert signing.verify(headers, body)
    assert signing.verify(headers | {"redelivered": True}, body), "kombu says so of a message that it put back"
    for name in headers:
        assert not signing.verify(headers | {name: "another"}, body), name
        assert not signing.verify({key: value for key, value in headers.items() if key != name}, body), name
        assert not signing.verify({f"{key}x" if key == name else key: value for key, value in headers.items()}, body), name
    assert not signing.verify(headers | {"more": None}, body)


def test_a_message_of_the_former_form_is_refused_and_its_job_is_sent_again(tmp_path: Path, redis: Any) -> None:
    """An upgrade finds messages in Redis whose signature is for some of the headers."""
    log = tmp_path / "log"
    with running_worker(log, slots=1):
        first = enqueue("jobs.tasks.sleep", args=[2.0])
        until(lambda: Job.objects.get(id=first.id).status == "running", timeout=15)
        job = enqueue("jobs.tasks.sleep", args=[0.0])
        until(lambda: redis.llen(KEY) == 1, timeout=15, what="it waits for the slot")
        redis.lset(KEY, 0, json.dumps(of_the_former_form(job)))
        until(lambda: Job.objects.get(id=job.id).status == "completed", timeout=30)
    assert Job.objects.get(id=job.id).runs == 1
    assert log.read_text().count("refused a message that is not signed by this project") == 1


def of_the_former_form(job: Job) -> dict[str, Any]:
    message = message_for(job)
    signed = (
        "job_id", "runs", "id", "task", "job_queue", "job_priority", "retries", "max_retries", "job_timeout", "autoretry", "alone"
    )  # fmt: skip
    text = f"{tuple(message['headers'][name] for name in signed)}\0{message['body']}"
    key = hashlib.sha256(b"jobs.message\0" + settings.SECRET_KEY.encode()).digest()
    message["headers"]["sig"] = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return message
