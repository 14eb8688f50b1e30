"""docs/starting.md and docs/testing.md, block after block: a new project, its job, its desk, its tests and its beat."""

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from jobs.store import broker
from tests.adoption.test_adoption import database, environment, site  # noqa: F401 - a fixture
from tests.mail_server import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)
NOT_RUN = ("python -m venv", ". .venv", "pip install", "createdb")
STAYS = {"celery -A shop worker": " ready.", "python manage.py runserver": "Starting ", "celery -A shop beat": "beat: Starting"}
PROGRAMS = {"python": [sys.executable], "celery": [sys.executable, "-m", "celery"], "django-admin": [sys.executable, "-m", "django"]}
# What only this machine needs: the document's servers are on localhost, its beat waits for the night.
OWN = """
import os as _os
DATABASES["default"] |= {{key: _os.environ["POSTGRES_" + key] for key in ("HOST", "PORT", "USER", "PASSWORD")}} | {{"NAME": "starting"}}
CELERY_BROKER_URL = {broker!r}
if "CELERY_BEAT_SCHEDULE" in globals():
    CELERY_BEAT_SCHEDULE["nightly"]["schedule"] = 0.5
"""


@contextmanager
def stays(folder: Path, environ: dict[str, str], words: list[str], ready: str) -> Iterator[None]:
    """A process of the document, from when it is ready."""
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(words, cwd=folder, env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        until(lambda: ready in log.read_text() or process.poll() is not None, timeout=60)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(40)


def test_a_new_project_by_the_document(site: Path, tmp_path: Path) -> None:  # noqa: F811
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    environ = environment("starting", site) | {"DJANGO_SUPERUSER_PASSWORD": "pass", "PYTHONUNBUFFERED": "1"}
    port, outputs, kept = free_port(), [], set()
    with database("starting"), ExitStack() as stack:
        for kind, block in BLOCK.findall("".join((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("starting", "testing"))):
            if kind == "python":
                write(tmp_path, environ, block, outputs)
                continue
            for command in (part.strip() for line in block.splitlines() for part in line.split(" && ")):
                if command.startswith(NOT_RUN):
                    continue
                first, *rest = shlex.split(command)
                words = [*PROGRAMS[first], *rest]
                if command == "python manage.py createsuperuser":
                    words += ["--noinput", "--username=chief", "--email=chief@example.com"]
                ready = next((said for begin, said in STAYS.items() if command.startswith(begin)), None)
                if ready is None:
                    outputs.append(ran(tmp_path, environ, words))
                    continue
                words += [str(port), "--noreload"] if "runserver" in words else []
                stack.enter_context(stays(tmp_path, environ, words, ready))
                kept.add(command)
        assert len(kept) == len(STAYS)
        assert any(output.startswith("completed 3 {") for output in outputs), outputs
        assert [count for output in outputs for count in re.findall(r"Ran (\d+) tests", output)] == ["2", "12"]
        code = "from jobs.models import Job; print(Job.objects.filter(status='completed').count())"
        shell = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
        until(lambda: int(ran(tmp_path, environ, shell)) > 5, timeout=60, what="beat has made a job, and it has run")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/desk/", timeout=20) as page:
            assert urlsplit(page.url)[2:4] == ("/accounts/login/", "next=/desk/")
            assert "Log in" in page.read().decode()


def ran(folder: Path, environ: dict[str, str], words: list[str]) -> str:
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + (done.stderr if "test" in words else "")


def write(folder: Path, environ: dict[str, str], block: str, outputs: list[str]) -> None:
    """A block of Python goes where its first line says."""
    place, text = block.split("\n", 1)
    name = place.removeprefix("# ").removesuffix(", at its end")
    if name == "python manage.py shell":
        words = [sys.executable, "manage.py", "shell", "-v0", "-c", text]
        if "Job.objects" in text:  # "a moment later"
            until(lambda: "completed" in ran(folder, environ, words), timeout=40)
        outputs.append(ran(folder, environ, words))
        return
    if name == "shop/settings.py":
        text += OWN.format(broker=settings.CELERY_BROKER_URL)
    before = (folder / name).read_text() if place.endswith(", at its end") else ""
    (folder / name).write_text(f"{before}\n{text}")


@pytest.mark.parametrize("name", ["settings", "urls"])
def test_the_desk_is_set_up_as_in_an_adopting_project(name: str) -> None:
    new = (ROOT / "docs" / "starting.md").read_text("utf-8").splitlines()
    lines = (Path(__file__).parent / "desk" / f"{name}.py").read_text("utf-8").splitlines()
    wanted = [
        line.split("  # noqa")[0] for line in lines if not line.startswith(("from django.urls", "from shop", "ROOT_URLCONF", "INSTALLED"))
    ]
    assert [line for line in wanted if line not in new] == []
