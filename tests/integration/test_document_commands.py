"""The commands in the documents do what they say. Not run: docker, createsuperuser, what makes an environment, and make itself."""

import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from django.db import connection

from jobs import enqueue
from jobs.models import Job
from tests.waiting import until
from tests.workers import environment

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "README.ar.md", "FAILURE_HANDLING.md", "TESTING.md"]
# `make up` is run by test_up.py, `make test` is running; the others would change this machine's environment or take long.
NOT_RUN = (
    "docker",
    "make ",
    "createdb ",
    "python -m venv",
    ". .venv",
    "pip install",
    "python manage.py createsuperuser",
    "cd ",
    "git ",
    "python -m pytest -m chaos",
)
STAYS = ("celery ", "python manage.py runserver", "python manage.py dispatch", "python manage.py up")
SHORTER = {
    command: ["--sleep=0.3"]
    for command in ("python manage.py test_priority_concurrency", "python manage.py test_priority_concurrency --count 12")
}


def commands() -> list[str]:
    """Each command in the shell blocks, and each in back quotes that begins with `python manage.py`, once."""
    found: dict[str, None] = {}
    for name in DOCUMENTS:
        text = (ROOT / name).read_text("utf-8")
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
        for line in [*blocks, *re.findall(r"`(python manage\.py [^`\n]+)`", text)]:
            for part in re.sub(r"\s+#.*$", "", line).split(" && "):
                found.setdefault(part.strip())
    return [command for command in found if command and not command.startswith((*NOT_RUN, *STAYS))]


def words(command: str) -> list[str]:
    first, *rest = shlex.split(command)
    return [*{"python": [sys.executable], "celery": [sys.executable, "-m", "celery"]}[first], *rest]


def test_there_are_commands() -> None:
    assert len(commands()) >= 5


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=pytest.mark.slow if re.search("--timeout|--sleep", one) else ()) for one in commands()]
)
def test_the_command_succeeds(command: str) -> None:
    done = subprocess.run(
        words(command) + SHORTER.get(command, []),
        cwd=ROOT, env=environment(JOBS_RETRY_BACKOFF="0.2"), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


def test_the_worker_of_the_documents_gets_ready(tmp_path: Path) -> None:
    command = "celery -A task_queue_project worker --loglevel=info -P gevent --concurrency=4 --prefetch-multiplier=1"
    assert all(command in (ROOT / name).read_text("utf-8") for name in ("README.md", "README.ar.md"))
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(words(command), cwd=ROOT, env=environment(), stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: b" ready." in log.read_bytes(), timeout=30)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0


def test_runserver_answers(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = words(f"python manage.py runserver {port} --noreload")
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    try:
        until(answers, timeout=30)
    finally:
        process.terminate()
        process.wait(10)


def test_the_line_of_sql_is_an_enqueue() -> None:
    (statement,) = re.findall(r"`(INSERT INTO jobs_job [^`]+)`", (ROOT / "README.md").read_text("utf-8"))
    with connection.cursor() as cursor:
        cursor.execute(statement)
    assert Job.objects.get().status == "pending"


def test_the_line_of_python_is_an_enqueue() -> None:
    (line,) = re.findall(r"`from jobs import enqueue; ([^`]+)`", (ROOT / "README.md").read_text("utf-8"))
    exec(line, {"enqueue": enqueue})
    assert Job.objects.get().priority == 9
