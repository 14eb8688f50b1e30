"""With DEBUG Django keeps what a process asks PostgreSQL; a worker keeps that of the run of now."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from jobs.celery_app import running, settle

pytestmark = pytest.mark.django_db


def ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_each_run_begins_without_the_statements_of_the_run_before(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(settle, "claim", lambda task, request, make: SimpleNamespace())
    seen = []
    for _ in range(3):
        running.claim(SimpleNamespace(request=SimpleNamespace(children=[])))
        ask()
        seen.append(len(connection.queries))
    assert seen == [1, 1, 1]
