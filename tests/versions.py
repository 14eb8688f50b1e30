"""`make versions`: the core of the tests on each supported combination of Python, Django and Celery that this machine can make."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
HOME: Final = ROOT / ".versions"
# Python, Django, Celery, and what Django speaks to PostgreSQL through: each version of each at least once, the ends together.
COMBINATIONS: Final = (
    ("3.11", "5.2", "5.5", "psycopg2"),
    ("3.11", "5.2", "5.6", "psycopg2"),
    ("3.12", "5.2", "5.7", "psycopg2"),
    ("3.12", "6.0", "5.6", "psycopg2"),
    ("3.13", "5.2", "5.5", "psycopg2"),
    ("3.13", "6.0", "5.7", "psycopg2"),
    ("3.13", "6.1", "5.5", "psycopg2"),
    ("3.13", "6.1", "5.7", "psycopg2"),
    ("3.11", "5.2", "5.7", "psycopg3"),
    ("3.13", "6.1", "5.7", "psycopg3"),
)
CORE: Final = (
    "tests/unit/test_domain.py",
    "tests/unit/test_tasks.py",
    "tests/unit/test_adoption.py",
    "tests/unit/test_checks.py",
    "tests/web/test_pages.py",
    "tests/web/test_local_time.py",
    "tests/integration/test_engine.py",
    "tests/integration/test_django_tasks.py",
    "tests/integration/test_purge.py",
    "tests/integration/test_local_time.py",
    "tests/integration/test_foreign.py",
    "tests/integration/test_inserting.py",
    "tests/integration/test_short.py",
    "tests/integration/test_told.py",
    "tests/integration/test_slots.py",
    "tests/adoption/test_adoption.py",
)
# Where Django's own connection writes many rows, is waited with, or is kept for the next task.
THROUGH_DJANGO: Final = (
    "tests/web/test_actions.py",
    "tests/web/test_audit.py",
    "tests/web/test_bulk.py",
    "tests/integration/test_results.py",
    "tests/integration/test_task_connections.py",
)
# What a later Django or Celery will drop is no failure here; the locked versions are tested with warnings as errors.
CALM: Final = ("-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning")
DRIVERS: Final = {"psycopg2": (), "psycopg3": ("psycopg[binary,pool]",)}  # Django takes psycopg 3 where both are installed
NEEDED: Final = ("requirements.in", "requirements-services.in")
FOR_TESTS: Final = (
    "aiosmtpd",
    "django-tasks",
    "hypothesis",
    "playwright",
    "pytest",
    "pytest-django",
    "pytest-timeout",
    "pyyaml",
    "setuptools>=77",
    "uv",
)


def interpreter(version: str) -> str | None:
    """A Python of this version: on PATH, else one of pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    for candidate in filter(None, candidates):
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.stdout.strip() == version:
            return candidate
    return None


def environment(python: str, django: str, celery: str, driver: str, name: str) -> Path:
    """A virtual environment with these versions, made once."""
    folder = HOME / name
    lines = [line.partition(" #")[0] for name in NEEDED for line in (ROOT / name).read_text("utf-8").splitlines()]
    others = [line for line in lines if line and not line.startswith(("#", "-", "django>", "celery["))]
    wanted = [f"django=={django}.*", f"celery[gevent,redis]=={celery}.*", *others, *FOR_TESTS, *DRIVERS[driver]]
    done = folder / "done.txt"
    if done.exists() and done.read_text("utf-8").splitlines() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--seed", "--python", python, str(folder)], check=True)
    subprocess.run([*uv, "pip", "install", "--python", str(folder / "bin/python"), *wanted], check=True, cwd=ROOT)
    done.write_text("\n".join(wanted), "utf-8")
    return folder


def main() -> int:
    """0 when every combination passed; one that cannot be made here is named and left out."""
    asked, lines, failed = sys.argv[1:], [], 0
    for python, django, celery, driver in COMBINATIONS:
        name = f"python{python}-django{django}-celery{celery}{'' if driver == 'psycopg2' else f'-{driver}'}"
        found = interpreter(python)
        if asked and name not in asked:
            continue
        if found is None:
            lines.append(f"{name}: left out, Python {python} was not found")
            continue
        print(f"== {name}", flush=True)
        folder = environment(found, django, celery, driver, name)
        chosen = CORE + THROUGH_DJANGO if driver == "psycopg3" else CORE
        tests = [str(folder / "bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *CALM, *chosen]
        done = subprocess.run(tests, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        (folder / "log.txt").write_text(done.stdout)
        failed += done.returncode != 0
        if done.returncode:
            print(done.stdout[-4000:])
        lines.append(f"{name}: {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else 'nothing ran'}")
    print("\n".join(lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
