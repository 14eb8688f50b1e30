"""JOBS_DATABASE may name another database than `default`: the desk asks that one."""

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from django.conf import settings

from tests.workers import ROOT, environment, settings_of

NAMES = ("desk_business", "desk_archive")


@pytest.fixture
def databases() -> Any:
    """The settings of two empty databases."""
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for name in NAMES:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {name}")
        place = {key: str(settings.DATABASES["default"][key]) for key in ("ENGINE", "HOST", "PORT", "USER", "PASSWORD")}
        yield {alias: {**place, "NAME": name} for alias, name in zip(("default", "archive"), NAMES, strict=True)}
        for name in NAMES:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_every_page_of_the_desk_reads_the_database_of_the_jobs(databases: Any) -> None:
    other = {"DATABASES": databases, "DATABASE_ROUTERS": ["tests.archive.Router"], "JOBS_DATABASE": "archive", "ALLOWED_HOSTS": ["*"]}
    command = [sys.executable, "-m", "tests.archive.visit"]
    environ = environment(**settings_of(**other))
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers.pop("missing") is False
    assert {page: status for page, status in answers.items() if status not in (200, 302)} == {}
