"""Files whose form matters on other systems."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BATCH_FILES = ["run_priority_concurrency_test.bat", "test_dead_letter_queue.bat"]


@pytest.mark.parametrize("name", BATCH_FILES)
def test_batch_files_have_windows_line_ends(name: str) -> None:
    data = (ROOT / name).read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") > 5
    assert b"%~dp0" in data  # works from any folder
    assert b"%*" in data  # arguments are passed on
    assert b"exit /b %CODE%" in data


def test_each_variable_that_is_read_is_documented() -> None:
    sources = "".join((ROOT / "task_queue_project" / name).read_text("utf-8") for name in ("settings.py", "environment.py", "servers.py"))
    sources += (ROOT / "jobs/dev/preparation.py").read_text("utf-8")
    read = set(re.findall(r'read\("\w+", "(\w+)"', sources)) | set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"', sources))
    read |= {"DATABASE_URL", "REDIS_URL"}
    documented = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert read - documented - {"ENV_FILE", "DJANGO_SETTINGS_MODULE"} == set()


def test_make_help_shows_each_target_and_all_that_is_said_of_it() -> None:
    targets = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout.splitlines()
    assert [line.split(maxsplit=2) for line in shown] == [["make", name, text] for name, text in targets]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-services.txt", "requirements-dev.txt", "requirements-libraries.txt"])
def test_requirements_are_pinned_with_hashes(name: str) -> None:
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []


def test_text_files_have_unix_line_ends() -> None:
    files = subprocess.run(
        ["git", "ls-files", "*.py", "*.sh", ".ci/run", "*.po", "*.html"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert [name for name in files.stdout.splitlines() if b"\r\n" in (ROOT / name).read_bytes()] == []


def test_templates_name_templates_that_are_there() -> None:
    """Shared ones are `jobs/...`: a project that installs the app has a base.html of its own."""
    pages = ROOT / "templates"
    named = {
        name
        for page in pages.rglob("*.html")
        for name in re.findall(r'{% (?:extends|include) "([^"]+)"', page.read_text("utf-8"))
        if name not in ("admin/base.html", "admin/change_form_object_tools.html")  # Django's
    }
    assert named
    assert [name for name in named if not (pages / name).is_file()] == []
