"""JOBS_ACCEPT_FOREIGN: what another program publishes with stock Celery is a row first, then runs; without it nothing is taken in."""

import base64
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from celery import Celery as StockCelery
from celery import current_app
from django.conf import settings
from django.db import connection

from jobs.models import Attempt, Job
from jobs.store import broker
from jobs.worker import foreign
from tests.rows import open_gate
from tests.standing import on
from tests.waiting import until
from tests.workers import ROOT, environment, running_worker

pytestmark = pytest.mark.django_db(transaction=True)
ACCEPT = {"JOBS_ACCEPT_FOREIGN": "True"}
ON_GEVENT = on(**ACCEPT)


@pytest.fixture
def other() -> Any:
    """Another program, which knows our queue and our key prefix, and nothing else of us."""
    app = StockCelery("other", broker=settings.CELERY_BROKER_URL, set_as_current=False, fixups=[])
    app.conf.broker_transport_options = {"global_keyprefix": "jobs:"}
    app.conf.result_backend = "disabled://"
    yield app
    app.close()


def jobs(number: int) -> list[Job]:
    until(lambda: Job.objects.filter(finished_at__isnull=False).count() == number, timeout=30)
    return list(Job.objects.order_by("id"))


@on("solo", **ACCEPT)
def test_messages_of_another_program_run_as_jobs(standing_worker: str, other: Any) -> None:
    eta = datetime.now(UTC) + timedelta(seconds=1)
    sent = [
        other.send_task("t.add", (1, 2)),
        other.send_task("t.add", kwargs={"x": 3, "y": 4}, priority=7, task_id="an-id-of-one-s-own"),
        other.send_task("t.add", (5, 6), eta=eta),
    ]
    other.conf.task_protocol = 1
    del other.amqp
    sent.append(other.send_task("t.add", (7, 8)))
    found = {job.task_id: job for job in jobs(4)}
    assert [found[result.id].result for result in sent] == [3, 7, 11, 15]
    assert [found[result.id].priority for result in sent] == [5, 7, 5, 5]
    late = found[sent[2].id]
    assert abs((late.run_at - eta).total_seconds()) < 0.01
    assert late.started_at >= late.run_at
    assert all(job.created_at <= job.started_at and job.runs == 1 for job in found.values())


def test_what_cannot_be_run_is_refused_and_the_rest_goes_on(tmp_path: Path, other: Any) -> None:
    client = broker.client(settings.CELERY_BROKER_URL)

    def push(body: Any, headers: dict[str, Any], content_type: str = "application/json") -> None:
        properties = {"delivery_tag": "x", "delivery_info": {"routing_key": "celery"}, "body_encoding": "base64"}
        text = base64.b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode()
        whole = {"body": text, "content-type": content_type, "content-encoding": "utf-8", "headers": headers, "properties": properties}
        client.lpush("jobs:celery", json.dumps(whole))

    good: dict[str, Any] = {"task": "t.add", "id": "bad"}
    with running_worker(tmp_path / "log", **ACCEPT):
        push([[1, 2], {}, {}], good | {"task": "os.system"})
        push([[1, 2], {}, {}], good | {"task": "celery.backend_cleanup"})
        push([[1, 2], {}, {}], good | {"id": None})
        push([[1, 2], {}, {}], good | {"id": "x" * 300})
        push([[1, 2], {}, {}], good | {"eta": "tomorrow"})
        push([1, {}, {}], good)
        push([[1, 2], [], {}], good)
        push({"no": "task"}, {})
        push(b"\x80\x04", good, "application/x-python-serialize")
        push(b"{", good)
        for _ in range(3):
            push([[1, 2], {}, {}], good | {"job_id": 1, "runs": 1, "sig": "forged"})
        other.send_task("t.add", (1, 2))
        (job,) = jobs(1)
        assert job.result == 3
        log = tmp_path / "log"
        until(lambda: log.read_text().count("refused a message of another program") == 10)
        assert log.read_text().count("refused a message that is not signed") == 1, "once a minute: a leader with another key sends many"
        assert "is SECRET_KEY the same in all processes?" in log.read_text()
        assert "Traceback" not in log.read_text()


@ON_GEVENT
def test_a_failure_and_a_second_message_with_the_same_id(standing_worker: str, other: Any, standing_log: Path) -> None:
    other.send_task("t.gate", ("foreign",), task_id="one")
    until(lambda: Job.objects.filter(task_id="one", status="running").exists(), timeout=20)
    other.send_task("t.gate", ("foreign",), task_id="one")
    other.send_task("jobs.tasks.fail")
    until(lambda: "is not run twice" in standing_log.read_text(), timeout=20)
    open_gate("foreign")
    first, failed = jobs(2)
    assert (first.status, first.runs, failed.status) == ("completed", 1, "failed")
    assert Attempt.objects.filter(job=failed).count() == 1


def test_any_number_that_a_task_may_have_with_celery_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process

    message = mock.Mock(headers={"task": "t.add", "id": "x"}, properties={}, delivery_info={}, **{"decode.return_value": ([1, 2], {}, {})})
    add = current_app.tasks["t.add"]
    for said, kept in ((sys.maxsize, 2**31 - 1), (float("inf"), None), (-1, 0)):
        monkeypatch.setattr(add, "max_retries", said)
        assert foreign.row(current_app, message).max_retries == kept
    monkeypatch.setattr(add, "timeout", 0.4)
    assert foreign.row(current_app, message).timeout == 1
    monkeypatch.setattr(add, "timeout", "long")
    assert foreign.take_in(current_app, message) is False


def test_without_the_setting_nothing_is_taken_in(tmp_path: Path, other: Any) -> None:
    with running_worker(tmp_path / "log"):
        other.send_task("t.add", (1, 2))
        until(lambda: "not signed by this project: (task 't.add')" in (tmp_path / "log").read_text(), timeout=20)
    assert not Job.objects.exists()


def test_the_sql_of_the_guide_is_an_enqueue() -> None:
    guide = (ROOT / "docs" / "any-language.md").read_text("utf-8")
    (block,) = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)
    with connection.cursor() as cursor:
        for statement in filter(str.strip, re.split(r";\s*(?:--.*)?\n", block)):
            cursor.execute(statement)
        id, task_id = cursor.fetchone()
    plain, full = Job.objects.order_by("id")
    assert (plain.name, plain.task, plain.kwargs, plain.priority, plain.max_retries) == (
        "from psql",
        "jobs.tasks.sleep",
        {"seconds": 1},
        5,
        3,
    )
    assert (full.id, full.task_id, full.priority, full.timeout, full.unique_key) == (id, task_id, 9, 60, "example")
    columns = {row.split("|")[1].strip(" `") for row in guide.splitlines() if row.startswith("| `")}
    named = {name for each in columns for name in each.replace("`", "").split(", ")}
    assert named <= {field.column for field in Job._meta.concrete_fields}


@ON_GEVENT
@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_the_line_for_psql_in_the_guide_runs(standing_worker: str) -> None:
    guide = (ROOT / "docs" / "any-language.md").read_text("utf-8")
    (line,) = re.findall(r"`(psql [^`]+)`", guide)
    done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "INSERT 0 1"), done.stderr
    (job,) = jobs(1)
    assert (job.task, job.kwargs, job.status, job.max_retries) == ("jobs.tasks.sleep", {"seconds": 1}, "completed", 3)
