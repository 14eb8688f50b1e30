"""The commands against a real worker: they pass on a good one, and fail on one that breaks a rule."""

import io
import json
import re
import sys
from contextlib import closing, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone, translation

from jobs import enqueue
from jobs.domain import own_failures
from jobs.domain.outcomes import Outcome
from jobs.models import Attempt, DeadLetterQueue, Job, Worker
from jobs.store import stats
from jobs.store.engine import connect
from jobs.store.locks import LEADER, WORKER_CLASS
from jobs.verification import priority, workers
from jobs.verification.rules import Run
from tests.browser.scene import played
from tests.standing import on
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)
BROKEN: dict[str, Any] = {"EXTRA_INSTALLED_APPS": "tests.taskapp,tests.brokenapp"}
FAST: dict[str, Any] = {"JOBS_RETRY_BACKOFF": "0.2"}
ON_GEVENT = on(**FAST)


@pytest.fixture(autouse=True)
def _english() -> Any:
    with translation.override("en"):
        yield


def run(command: str, *args: str, **options: Any) -> str:
    out = io.StringIO()
    call_command(command, *args, stdout=out, **options)
    return out.getvalue()


@ON_GEVENT
def test_priorities_and_slots_pass_on_a_good_worker(standing_worker: str) -> None:
    output = run("test_priority_concurrency", count=20, sleep=0.3)
    assert "at most 4 at once" in output
    assert "inversions: 0" in output


@pytest.mark.parametrize(("slots", "reason"), [(5, "while 4 others ran"), pytest.param(3, "ran only 3 of 4", marks=pytest.mark.slow)])
def test_another_number_of_slots_fails(tmp_path: Path, slots: int, reason: str) -> None:
    with running_worker(tmp_path / "log", slots=slots), pytest.raises(CommandError, match=reason):
        run("test_priority_concurrency", sleep=1.2)


@pytest.mark.parametrize("broken", ["priorities", pytest.param("one lane", marks=pytest.mark.slow)])
def test_broken_priorities_fail(tmp_path: Path, broken: str) -> None:
    with running_worker(tmp_path / "log", **BROKEN, BREAK=broken), pytest.raises(CommandError, match="inversion"):
        run("test_priority_concurrency", sleep=0.3)


def test_a_run_that_was_lost_with_a_worker_is_no_busy_slot_of_the_next_one_of_that_name() -> None:
    now = timezone.now()
    about = {"hostname": "h", "pid": 1, "pool": "gevent", "concurrency": 4, "queues": [], "tasks": [], "versions": {}}
    worker = Worker.objects.create(name="celery@here", **about)
    job = enqueue("jobs.tasks.sleep", args=[1])
    for number, outcome in enumerate((Outcome.LOST, Outcome.FAILED), 1):
        begun = now - timedelta(seconds=number)
        Attempt.objects.create(job=job, run=number, outcome=outcome, worker=worker.name, started_at=begun, finished_at=now)
    own = Run(id=0, priority=5, run_at=now, due_at=now, started_at=now - timedelta(seconds=3), finished_at=now, worker=worker.id)
    assert [run.started_at for run in priority.other_runs([own])] == [now - timedelta(seconds=2)]


@ON_GEVENT
def test_dead_letters_pass_on_a_good_worker(standing_worker: str) -> None:
    assert "passed" in run("test_dead_letter_queue", timeout=60)
    assert set(DeadLetterQueue.objects.values_list("resolution", flat=True)) == {"reprocessed", "resolved"}


@pytest.mark.parametrize(("broken", "reason"), [("delays", "do not grow"), pytest.param("burying", "queue has -", marks=pytest.mark.slow)])
def test_broken_failure_handling_fails(tmp_path: Path, broken: str, reason: str) -> None:
    with running_worker(tmp_path / "log", **BROKEN, **FAST, BREAK=broken), pytest.raises(CommandError, match=reason):
        run("test_dead_letter_queue", timeout=60)


@pytest.mark.parametrize(
    ("queues", "said"),
    [
        (["celery"], []),
        (["other"], ["No worker serves the queue “celery”: starting one for this test.", "The worker was stopped."]),
        (None, ["No worker is up: starting one for this test.", "The worker was stopped."]),
    ],
)
def test_a_worker_that_does_not_serve_the_queue_is_none(monkeypatch: pytest.MonkeyPatch, queues: list[str] | None, said: list[str]) -> None:
    monkeypatch.setattr(workers, "_command", lambda: [sys.executable, "-c", "import sys; sys.stdin.read()"])
    monkeypatch.setattr(workers, "_wait_until_ready", lambda *found: None)
    lines = list[str]()
    with closing(connect("life")) as life, life.cursor() as cursor:
        if queues is not None:
            about = {"hostname": "h", "pid": 1, "pool": "gevent", "concurrency": 4, "queues": queues, "tasks": [], "versions": {}}
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [WORKER_CLASS, Worker.objects.create(name="w@h", **about).id])
        with workers.some_worker(lines.append, priority.TASK):
            pass
    assert lines == said


def test_jobs_that_do_not_end_in_time_say_what_they_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.management.commands.test_priority_concurrency.some_worker", lambda *_: nullcontext())
    why = r"^not all jobs ended within 1 s; job \d+ waits: No worker is up, so no jobs run\.$"
    with pytest.raises(CommandError, match=why):
        run("test_priority_concurrency", count=2, sleep=0, timeout=1)


def test_a_name_creates_one_job_for_now() -> None:
    job = Job.objects.get(id=int(run("test_priority_concurrency", "مهمة فورية", priority=5, max_retries=2)))
    assert (job.name, job.priority, job.max_retries, job.status, job.task) == ("مهمة فورية", 5, 2, "pending", "jobs.tasks.sleep")
    assert job.run_at <= timezone.now()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["x\udcff"], "name: This text cannot be written as UTF-8"),
        (["--count=0"], "from 1 to 10000"),
        (["--count=100000000"], "from 1 to 10000"),
        (["--expect=" + "9" * 23], "from 1 to 10000"),
        (["x", "--sleep=nan"], "from 0 to 86400"),
        (["--timeout=0"], "--timeout must be a number of seconds above 0"),
        (["--timeout=nan"], "--timeout must be a number of seconds above 0"),
        (["--priority=10"], "The priority is a whole number from 0 to 9"),
        (["x", "--priority=-1"], "The priority is a whole number from 0 to 9"),
        ([""], "NAME is empty"),
        ([" "], "NAME is empty"),
    ],
)
def test_the_test_of_priorities_refuses_in_one_line(options: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as caught:
        run("test_priority_concurrency", *options)
    assert "\n" not in str(caught.value)
    assert not Job.objects.exists()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_the_test_of_dead_letters_refuses_in_one_line(seconds: str) -> None:
    with pytest.raises(CommandError, match="--timeout must be a number of seconds above 0"):
        run("test_dead_letter_queue", f"--timeout={seconds}")
    assert not Job.objects.exists()


def test_clear_removes_only_its_own_jobs() -> None:
    priority.create(2, 0, 0)
    run("test_priority_concurrency", "of the user's own name")
    enqueue("jobs.tasks.sleep", args=[0], name="mine", unique_key="mine")
    assert "removed: 3" in run("test_priority_concurrency", "one more", clear=True)
    assert set(Job.objects.values_list("name", flat=True)) == {"mine", "one more"}


def test_enqueue_prints_the_numbers() -> None:
    options = {"kwargs": '{"seconds": 0}', "priority": 9, "count": 3, "name": "a", "queue": "q", "delay": 60}
    ids = [int(line) for line in run("enqueue", "jobs.tasks.sleep", **options).split()]
    jobs = list(Job.objects.filter(id__in=ids))
    assert len(jobs) == 3
    assert {(job.priority, job.name, job.queue, job.state.value) for job in jobs} == {(9, "a", "q", "scheduled")}


@ON_GEVENT
def test_enqueue_waits_for_the_end(standing_worker: str) -> None:
    run("enqueue", "jobs.tasks.sleep", "--args=[0]", "--count=2", "--wait")
    with pytest.raises(CommandError, match="Failed: DeliberateFailure: no paper"):
        run("enqueue", "jobs.tasks.fail", '--args=["no paper"]', "--max_retries=0", "--wait")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["nope"], "no task named “nope”"),
        (["jobs.tasks.sleep"], "do not fit the task"),
        (["jobs.tasks.sleep", '--kwargs={"x": 1}'], "do not fit the task"),
        (["jobs.tasks.sleep", '--kwargs={"seconds": "soon"}'], "seconds: Enter a number"),
        (["jobs.tasks.sleep", "--args=[true]"], "seconds: Enter a number"),
        (["jobs.tasks.sleep", "--args=[1"], "--args is not valid JSON"),
        (["jobs.tasks.sleep", "--args={}"], "--args must be a list"),
        (["jobs.tasks.sleep", "--args=[1]", "--kwargs=[]"], "--kwargs must be an object"),
        (["jobs.tasks.sleep", "--args=[1]", "--priority=10"], "from 0 to 9"),
        (["jobs.tasks.sleep", "--args=[1]", "--priority=-1"], "from 0 to 9"),
        (["jobs.tasks.sleep", "--args=[1]", "--priority=high"], "--priority is not a number"),
        (["jobs.tasks.sleep", "--args=[1]", "--max_retries=-1"], "max_retries"),
        (["jobs.tasks.sleep", "--args=[1]", "--max_retries=10001"], "from 0 to 10000"),
        (["jobs.tasks.sleep", "--args=[1]", "--max-retries=few"], "--max-retries is not a number"),
        (["jobs.tasks.sleep", "--args=[1]", "--timeout=0"], "timeout: The time limit"),
        (["jobs.tasks.sleep", "--args=[1]", "--timeout=long"], "--timeout is not a number"),
        (["jobs.tasks.sleep", "--args=[1]", "--unique-key=k", "--count=2"], "unique_key: Jobs that are created together"),
        (["jobs.tasks.sleep", "--args=[1]", "--run_at=2001-01-01T00:00"], "in the past"),
        (["jobs.tasks.sleep", "--args=[1]", "--run_at=2030-13-01"], "not a date and time"),
        (["jobs.tasks.sleep", "--args=[1]", "--run_at=soon"], "not a date and time"),
        (["jobs.tasks.sleep", "--args=[1]", "--delay=-1"], "from 0 to 315360000"),
        (["jobs.tasks.sleep", "--args=[1]", "--count=0"], "from 1 to 1000000"),
        (["jobs.tasks.sleep", "--args=[1]", "--count=1000001"], "from 1 to 1000000"),
        (["jobs.tasks.sleep", "--args=[1]", "--count=" + "9" * 23], "from 1 to 1000000"),
        (["jobs.tasks.sleep", "--args=[1]", "--count=" + "9" * 5_000], "--count is not a number"),
        (["jobs.tasks.sleep", "--args=" + "[" * 100_000], "--args is not valid JSON"),
        (["jobs.tasks.sleep", "--args=[1]", "--name=\udcff"], "name: This text cannot be written as UTF-8"),
        (["jobs.tasks.sleep", "--args=[1]", "--queue=q\udcff"], "queue: This text cannot be written as UTF-8"),
        (["jobs.tasks.sleep", '--args=["\udcff"]'], "args: This cannot be stored as JSON"),
        (["\udcff"], "no task named"),
        (["jobs.tasks.fail", '--args=["' + "x" * 300_000 + '"]'], "JOBS_MAX_ARGUMENT_BYTES"),
        (["jobs.tasks.sleep", "--args=[1]", "--name=" + "n" * 10_000], "name"),
    ],
)
def test_enqueue_refuses_in_one_line(options: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as caught:
        run("enqueue", *options)
    assert "\n" not in str(caught.value)
    assert not Job.objects.exists()


@pytest.mark.parametrize("dash", ["-", "_"])
def test_enqueue_takes_every_option_in_either_spelling(dash: str) -> None:
    moment = timezone.now() + timedelta(days=1)
    options = [f"--run{dash}at={moment.isoformat()}", f"--max{dash}retries=2", "--timeout=30", f"--unique{dash}key=night"]
    job = Job.objects.get(id=int(run("enqueue", "jobs.tasks.fail", *options)))
    assert (job.run_at, job.max_retries, job.timeout, job.unique_key) == (moment, 2, 30, "night")


@pytest.mark.parametrize("text", ["2028-03-26T02:30", "2028-10-29T02:30"])
def test_enqueue_takes_no_time_that_the_clocks_skip_or_show_twice(text: str) -> None:
    with timezone.override("Europe/Berlin"):
        with pytest.raises(CommandError, match="skip or show twice"):
            run("enqueue", "jobs.tasks.fail", f"--run_at={text}")
        assert not Job.objects.exists()
        job = Job.objects.get(id=int(run("enqueue", "jobs.tasks.fail", f"--run_at={text}+01:00")))
    assert f"{job.run_at:%H:%M}" == "01:30"


def test_enqueue_prints_the_number_of_the_job_that_has_the_unique_key() -> None:
    assert len({run("enqueue", "jobs.tasks.fail", "--unique-key=k") for _ in range(2)}) == 1
    assert Job.objects.get().unique_key == "k"


def test_jobs_counts(tmp_path: Path) -> None:
    assert "No worker is up." in run("jobs")
    enqueue("jobs.tasks.sleep", args=[0], queue="elsewhere")
    with running_worker(tmp_path / "log"):
        found = json.loads(run("jobs", json=True))
        assert len(stats.live_workers()) == 1
    assert found["statuses"]["pending"] == 1
    assert found["queues"] == {"elsewhere": {"pending": 1}}
    assert found["oldest_waiting"]["seconds"] > 0
    assert [(worker["slots"], worker["running"]) for worker in found["workers"]] == [(4, 0)]


def test_jobs_says_that_no_leader_lives() -> None:
    about = {"hostname": "h", "pid": 1, "pool": "gevent", "concurrency": 4, "queues": [], "tasks": [], "versions": {}}
    worker = Worker.objects.create(name="celery@here", **about)
    with closing(connect("life")) as life, life.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [WORKER_CLASS, worker.id])
        assert "No leader is up: waiting jobs are not handed to workers." in run("jobs")
        assert json.loads(run("jobs", json=True))["leader"] is False
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", LEADER)
        assert "No leader is up" not in run("jobs")
        assert json.loads(run("jobs", json=True))["leader"] is True


def test_what_others_chose_moves_no_terminal() -> None:
    """A row from another language may have any queue; so may a Celery call."""
    Job.objects.filter(pk=enqueue("jobs.tasks.sleep", args=[0]).pk).update(queue="a\nb\x1b[31m\u202eج\u200cd")
    about = {"hostname": "h", "pid": 1, "pool": "gevent", "concurrency": 4, "queues": [], "tasks": [], "versions": {}}
    worker = Worker.objects.create(name="w\x1b[31m@h", **about)
    with closing(connect("life")) as life, life.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [WORKER_CLASS, worker.id])
        said = run("jobs")
    assert said.count("a\\nb\\x1b[31m\\u202eج\u200cd") == 2
    assert "w\\x1b[31m@h" in said
    assert "\x1b" not in said


def test_jobs_speaks_to_people_in_their_language() -> None:
    with translation.override("ar"), played():
        made = timezone.now() - timedelta(days=2, hours=6, seconds=5)
        Job.objects.filter(status="pending").update(run_at=made, created_at=made)
        shown = run("jobs")
    assert "منذ يومين و6 س" in shown
    assert re.findall("لا يخدم أي عامل قائمة الانتظار «(.*)»", shown) == ["nobody-serves-this-queue"]
    assert "من 4 خانات مشغولة" in shown
    assert re.search("مكتملة [0-9]+، ", shown)


def test_enqueue_says_how_a_job_ended_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(ids: list[int]) -> bool:
        error = f"TimeLimit: {own_failures.TIME_LIMIT}"
        return bool(Job.objects.filter(pk__in=ids).update(status="failed", finished_at=timezone.now(), last_error=error))

    monkeypatch.setattr("jobs.management.commands.enqueue.ended", ended)
    with translation.override("ar"), pytest.raises(CommandError) as error:
        run("enqueue", "jobs.tasks.sleep", kwargs='{"seconds": 1}', wait=True)
    assert "فاشلة: TimeLimit: \u2068" in str(error.value)
    assert own_failures.TIME_LIMIT not in str(error.value)
