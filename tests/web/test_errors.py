"""A page that fails says so, with a number that the log has too, and nothing of the error."""

import logging
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.test import Client

from jobs.store import stats

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize(("error", "status"), [(ValueError("the secret word"), 500), (OperationalError("the secret word"), 503)])
@pytest.mark.parametrize("language", ["ar", "en"])
def test_an_error_has_a_number_and_no_traceback(
    staff: Client, monkeypatch: pytest.MonkeyPatch, caplog: Any, language: str, error: Exception, status: int
) -> None:
    def broken() -> None:
        raise error

    staff.cookies["django_language"] = language
    monkeypatch.setattr(stats, "workers", broken)
    with caplog.at_level(logging.ERROR):
        answer = staff.get("/jobs/workers/")
    content = answer.content.decode()
    assert answer.status_code == status
    assert ("PostgreSQL" in content) == (status == 503)
    assert f'lang="{language}"' in content
    assert "secret word" not in content
    assert "Traceback" not in content
    number = re.search(r"<bdi class=\"mono\" dir=\"ltr\">([0-9a-f]{8})</bdi>", content)
    assert number
    assert number[1] in caplog.text
