"""The same programs on stock Celery and here, in one project of which only the class that is imported differs: they see the same."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from jobs.store import broker
from tests.adoption.test_adoption import ROOT, database, environment
from tests.waiting import until

PROJECT = Path(__file__).resolve().parent / "same"
LIBRARIES = ROOT / ".libraries"  # requirements-libraries.txt, installed by make celery-suite
KINDS = ("stock", "jobs")
WITHOUT_LIBRARIES = ("settings", "with_options", "with_habits")


def environ(kind: str, settings_module: str = "settings") -> dict[str, str]:
    """Of a process of the project."""
    return (
        environment(f"same_{kind}")
        | {
            "SAME": kind,
            "NOTES_URL": os.environ["REDIS_URL"],
            "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *([LIBRARIES] if settings_module not in WITHOUT_LIBRARIES else [])])),
            "DJANGO_SETTINGS_MODULE": f"same.{settings_module}",
            "PYTHONWARNINGS": "ignore",
        }
        | ({"CELERY_LOADER": "same.options.loader:Loader"} if settings_module == "with_options" else {})
    )


@contextmanager
def worker(env: dict[str, str], log: Path, *options: str) -> Iterator[None]:
    queues = "celery,routed,mails" if env["DJANGO_SETTINGS_MODULE"] == "same.with_style" else "celery,routed"
    command = [sys.executable, "-m", "celery", "-A", "same", "worker", "-l", "INFO", "-Q", queues, *options]
    command += ["--tenant", "acme"] if "CELERY_LOADER" in env else []
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: b" ready." in log.read_bytes() or process.poll() is not None, timeout=60)
        yield
    finally:
        process.terminate()
        process.wait(40)


def seen(output: str) -> dict[str, Any]:
    """What each program has seen."""
    return {name: found for line in output.splitlines() if line.startswith("{") for name, found in json.loads(line).items()}


def differences(path: str, stock: Any, ours: Any) -> Iterator[str]:
    if isinstance(stock, dict) and isinstance(ours, dict):
        for key in sorted(stock.keys() | ours.keys()):
            yield from differences(f"{path}.{key}", stock.get(key, "nothing"), ours.get(key, "nothing"))
    elif isinstance(stock, list) and isinstance(ours, list) and len(stock) == len(ours):
        for place, pair in enumerate(zip(stock, ours, strict=True)):
            yield from differences(f"{path}[{place}]", *pair)
    elif stock != ours:
        yield f"{path}\n  stock: {stock!s:.500}\n  here:  {ours!s:.500}"


def compared(tmp_path: Path, programs: str, pool: str, settings_module: str = "settings") -> list[str]:
    """Run these programs on both kinds at once; the names of those that have seen the same. Fails when one differs."""
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    python = [sys.executable, "-m"]
    with ExitStack() as stack:
        environs = [environ(kind, settings_module) for kind in KINDS]
        for kind, env in zip(KINDS, environs, strict=True):
            stack.enter_context(database(f"same_{kind}"))
            subprocess.run([*python, "django", "migrate", "-v0"], cwd=PROJECT, env=env, check=True, timeout=120)
            stack.enter_context(worker(env, tmp_path / f"{kind}.log", "-P", pool, "-c", "4"))
        outputs = [tmp_path / f"{kind}.out" for kind in KINDS]  # a pipe would stop the one that is not read
        running = [
            subprocess.Popen([*python, "same.running", programs], cwd=PROJECT, env=env, stdout=stack.enter_context(output.open("w")))
            for env, output in zip(environs, outputs, strict=True)
        ]
        assert [process.wait(timeout=900) for process in running] == [0, 0]
    stock, ours = (seen(output.read_text()) for output in outputs)
    assert [name for name, found in stock.items() if isinstance(found, dict) and "raised" in found] == []
    assert list(stock) == list(ours)
    assert "\n".join(differences("", stock, ours)) == ""
    return list(stock)


@pytest.mark.compare
@pytest.mark.parametrize(("pool", "programs", "least"), [("gevent", "gevent", 50), ("prefork", "prefork", 15), ("gevent", "commands", 4)])
def test_programs_see_the_same_with_stock_celery_and_here(pool: str, programs: str, least: int, tmp_path: Path) -> None:
    assert len(compared(tmp_path, programs, pool)) > least


@pytest.mark.compare
@pytest.mark.skipif(not LIBRARIES.exists(), reason="make celery-suite installs the libraries")
@pytest.mark.parametrize("pool", ["gevent", "prefork"])
@pytest.mark.parametrize("programs", ["libraries", "sentry", "tenants", "tracing", "style"])
def test_libraries_see_the_same_with_stock_celery_and_here(pool: str, programs: str, tmp_path: Path) -> None:
    assert compared(tmp_path, programs, pool, f"with_{programs}")


@pytest.mark.compare
def test_what_tutorials_and_answers_show_comes_to_the_same(tmp_path: Path) -> None:
    assert len(compared(tmp_path, "habits", "gevent", "with_habits")) > 20


@pytest.mark.compare
@pytest.mark.parametrize(("pool", "programs"), [("gevent", "options"), ("prefork", "options_of_children")])
def test_rare_settings_and_hooks_come_to_the_same(pool: str, programs: str, tmp_path: Path) -> None:
    assert compared(tmp_path, programs, pool, "with_options")
