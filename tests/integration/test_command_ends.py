"""How commands end when nobody reads what they say, at Ctrl-C, and without PostgreSQL: in the bundled project and in another one."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import enqueue
from jobs.management.commands import enqueue as commands_enqueue
from jobs.models import Job
from jobs.store import broker, stats
from tests.waiting import until
from tests.workers import environment

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
ENQUEUE = ["enqueue", "jobs.tasks.sleep", "--args=[0]"]
# Another project's manage.py, which is Django's own.
STOCK = "import sys; from django.core.management import execute_from_command_line; execute_from_command_line(['manage.py', *sys.argv[1:]])"
COMMANDS = {"bundled": ["manage.py"], "another": ["-c", STOCK]}


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> list[str]:
    return [sys.executable, *COMMANDS[request.param]]


def environ(**changes: str) -> dict[str, str]:
    return environment(LANGUAGE_CODE="en", DJANGO_SETTINGS_MODULE="task_queue_project.settings", **changes)


def unread(command: list[str], output: str) -> subprocess.CompletedProcess[str]:
    """Run it with an output that takes nothing."""
    line = {"pipe": '"$@" | exec true', "full": 'exec "$@" >/dev/full', "closed": 'exec "$@" >&-', "both": '"$@" 2>&1 | exec true'}[output]
    # A reader that is gone before the command writes; the code is the command's.
    script = f"set -o pipefail; {line}"
    return subprocess.run(
        ["bash", "-c", script, "bash", *command], cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [("pipe", 1, []), ("full", 1, ["The output could not be written: No space left on device"]), ("closed", 0, [])],
)
def test_a_look_that_nobody_reads(command: list[str], output: str, code: int, said: list[str]) -> None:
    ended = unread([*command, "jobs"], output)
    assert (ended.returncode, ended.stderr.splitlines()) == (code, said)


@pytest.mark.parametrize(
    "words",
    [ENQUEUE, pytest.param(["test_priority_concurrency", "one", "--sleep=0"], marks=pytest.mark.slow)],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize(("output", "reason"), [("pipe", "Broken pipe"), ("full", "No space left on device"), ("closed", ""), ("both", "")])
def test_a_job_that_was_accepted_is_no_failure(command: list[str], words: list[str], output: str, reason: str) -> None:
    ended = unread([*command, *words], output)
    job = Job.objects.get()
    assert (ended.returncode, ended.stderr.strip()) == (0, reason and f"Accepted, but the output could not be written ({reason}): {job.pk}")


@pytest.mark.parametrize(
    ("changes", "letters"),
    [
        pytest.param({"PYTHONIOENCODING": "cp1252"}, "Completed: 0", marks=pytest.mark.slow, id="cp1252"),
        pytest.param({"PYTHONIOENCODING": "cp1256"}, "مكتملة: 0", marks=pytest.mark.slow, id="cp1256"),
        pytest.param({"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "Completed: 0", id="POSIX"),
    ],
)
def test_an_output_that_lacks_arabic_is_english_and_names_are_escaped(changes: dict[str, str], letters: str) -> None:
    queue = "😀 مهام"
    enqueue("jobs.tasks.sleep", args=[0], queue=queue)
    arabic = environ(**changes) | {"LANGUAGE_CODE": "ar"}
    encoding = changes.get("PYTHONIOENCODING", "ascii")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "manage.py", *words]
        return subprocess.run(line, cwd=ROOT, env=arabic, capture_output=True, encoding=encoding, timeout=60, check=False)

    shown, found, refused = run("jobs"), run("jobs", "--json"), run("enqueue")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert letters in shown.stdout.splitlines()
    assert list(json.loads(found.stdout)["queues"]) == [queue]
    assert (refused.returncode, "2068" in refused.stderr, "TASK" in refused.stderr) == (2, False, True)


@pytest.fixture
def waits(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command that waits for a job that no worker serves."""
    words = [*command, *ENQUEUE, "--wait", "--queue=nobody"]
    process = subprocess.Popen(words, cwd=ROOT, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_ctrl_c_ends_the_wait_in_one_line(waits: subprocess.Popen[str]) -> None:
    assert waits.stdout is not None
    number = int(waits.stdout.readline())
    waits.send_signal(signal.SIGINT)
    _, said = waits.communicate(timeout=20)
    assert (waits.returncode, said) == (130, "Interrupted; accepted jobs continue.\n")
    assert Job.objects.get().pk == number


@pytest.mark.parametrize(
    "words",
    [ENQUEUE, *(pytest.param([name], marks=pytest.mark.slow) for name in ("jobs", "test_priority_concurrency", "test_dead_letter_queue"))],
    ids=lambda words: words[0],
)
def test_without_postgresql_another_project_s_commands_end_in_one_line(words: list[str]) -> None:
    nowhere = environ(DATABASE_URL="postgres://u:hidden@127.0.0.1:1/d")
    command = [sys.executable, "-c", STOCK, *words]
    ended = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True, timeout=60, check=False)
    (line,) = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert line.startswith("A server failed: ")
    assert all(words in line for words in ("port 1 failed", "DATABASES"))
    traced = subprocess.run([*command, "--traceback"], cwd=ROOT, env=nowhere, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" in traced.stderr


def test_postgresql_that_goes_while_a_command_waits(waits: subprocess.Popen[str]) -> None:
    assert waits.stdout is not None
    waits.stdout.readline()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    _, said = waits.communicate(timeout=20)
    assert (waits.returncode, said.count("\n"), "Traceback" in said) == (1, 1, False), said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_test_command_that_is_ended_leaves_no_worker(number: signal.Signals) -> None:
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    words = [sys.executable, "manage.py", "test_priority_concurrency", "--count=1", "--sleep=30"]
    with subprocess.Popen(words, cwd=ROOT, env=environ(JOBS_SHUTDOWN_GRACE="0.5"), stdout=subprocess.PIPE, text=True) as process:
        until(lambda: Job.objects.filter(status="running").exists() or process.poll() is not None, timeout=90)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    if number is signal.SIGTERM:
        assert (process.returncode, said.splitlines()[-1]) == (128 + number, "The worker was stopped.")
    until(lambda: not stats.live_workers() and not stats.leader_lives(), timeout=30)
    assert Job.objects.get().status == "pending"


def test_a_wait_for_many_asks_for_some_at_a_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_seconds: float) -> None:
        with connection.cursor() as cursor:  # no worker
            cursor.execute("UPDATE jobs_job SET status = 'cancelled', finished_at = now()")
            cursor.execute("UPDATE jobs_job SET status = 'completed' WHERE id % 100 <> 1")

    monkeypatch.setattr(commands_enqueue, "time", SimpleNamespace(sleep=run))
    with CaptureQueriesContext(connection) as asked, pytest.raises(CommandError) as raised:
        call_command("enqueue", "jobs.tasks.sleep", "--args=[0]", "--count=2500", "--wait")
    ids = list(map(int, capsys.readouterr().out.split()))
    bad = [id for id in ids if id % 100 == 1]
    assert (len(ids), len(bad)) == (2500, 25)
    assert [int(part.split()[0]) for part in str(raised.value).split("; ")] == bad[:20]
    assert max(query["sql"].count(", ") for query in asked.captured_queries if " IN (" in query["sql"]) < 1100
