"""The page of job types: every task, with the numbers of its newest jobs."""

import doctest
import html
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from jobs import enqueue, registry
from jobs.store import types
from jobs.web import signatures
from jobs.web.views import types as view

pytestmark = pytest.mark.django_db


def ended(task: str, status: str, number: int, *, run: float = 1.0, ago: str = "1 minute") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, runs, worker, started_at, finished_at)
               SELECT %s, %s, 1, 1, now() - %s::interval - make_interval(secs => %s), now() - %s::interval FROM generate_series(1, %s)""",
            [task, status, ago, run, ago, number],
        )


def test_numbers_and_times_are_those_of_the_last_day() -> None:
    ended("a", "completed", 3, run=2)
    ended("a", "completed", 1, run=8)
    ended("a", "failed", 1)
    ended("a", "completed", 9, ago="25 hours")
    ended("b", "failed", 2)
    since, lines = types.lines()
    assert since is not None
    assert (lines["a"].completed, lines["a"].failed, lines["a"].rate, lines["a"].half) == (4, 1, 20.0, 2.0)
    assert (lines["b"].rate, lines["b"].half) == (100.0, None)


def test_many_jobs_shorten_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "NEWEST", 5)
    ended("a", "completed", 5, ago="2 minutes")
    ended("a", "completed", 50, ago="10 minutes")
    ended("a", "failed", 3, ago="5 minutes")  # before the window
    _since, lines = types.lines()
    assert (lines["a"].completed, lines["a"].failed) == (5, 0)


def test_the_page_lists_every_task(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    ended("gone.task", "failed", 1)
    for language, text in (("ar", "غير مسجّلة هنا"), ("en", "not registered here")):
        client.cookies["django_language"] = language
        content = client.get("/jobs/types/").content.decode()
        assert text in content
        for name in ("sleep", "fail", "flaky", "http_request", "send_email", "management_command"):
            assert f"/jobs/create/?task=jobs.tasks.{name}" in content
        assert "/jobs/create/?task=gone.task" not in content


def test_arguments_are_shown_by_their_plain_types(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    content = html.unescape(client.get("/jobs/types/").content.decode())
    for said in (
        "(seconds: float) -> None",
        "(name: str, args: list[str] | None = None) -> str",
        "(url: str, method: str = 'GET', headers: dict[str, str] | None = None, body: str = '') -> dict[str, Any]",
    ):
        assert f'<bdi class="mono small" dir="ltr">{said}</bdi>' in content
    assert "Annotated" not in content
    assert " at 0x" not in content
    assert doctest.testmod(signatures) == (0, 2)


def nodes(plan: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(plan["Node Type"], plan.get("Relation Name", ""))]
    return found + [node for part in plan.get("Plans", []) for node in nodes(part)]


@pytest.mark.usefixtures("own_files")
def test_the_numbers_are_read_from_the_index() -> None:
    ended("a", "completed", 60_000, ago="3 days")
    ended("a", "completed", 500)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {types._ENDED}", {"newest": types.NEWEST})
        assert ("Seq Scan", "jobs_job") not in nodes(cursor.fetchone()[0][0]["Plan"])


def test_the_whole_documentation_is_shown(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    monkeypatch.setattr(registry.job_types()["jobs.tasks.sleep"], "__doc__", "Sleep.\n\n    Uses <no> slot\n      of its own.\n    ")
    page = client.get("/jobs/types/").content.decode()
    assert '<pre class="code" dir="auto">Uses &lt;no&gt; slot\n  of its own.</pre>' in page


def test_the_options_that_a_task_sets_itself_are_shown(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    task = registry.job_types()["jobs.tasks.sleep"]
    given: dict[str, Any] = {
        "soft_time_limit": 5, "ignore_result": True, "autoretry_for": (OSError,), "dont_autoretry_for": [KeyError], "retry_backoff": 2,
        "retry_backoff_max": 90, "retry_jitter": False, "throws": (ValueError, LookupError),
    }  # fmt: skip
    assert given.keys().isdisjoint(name for name, _value in view._options(task))
    for name, value in given.items():
        monkeypatch.setattr(task, name, value, raising=False)
    page = html.unescape(client.get("/jobs/types/").content.decode())
    for shown in (
        "soft_time_limit=5", "ignore_result=True", "autoretry_for=['OSError']", "dont_autoretry_for=['KeyError']", "retry_backoff=2",
        "retry_backoff_max=90", "retry_jitter=False", "throws=['ValueError', 'LookupError']",
    ):  # fmt: skip
        assert f">{shown}</bdi>" in page, shown


def test_a_task_whose_annotation_is_no_type_is_like_any_other(admin_client: Client) -> None:
    import tests.taskapp.tasks

    job = enqueue(tests.taskapp.tasks.prose, args=[5])
    for page in ("/jobs/types/", "/jobs/create/?task=t.prose", f"/jobs/{job.id}/", "/jobs/", f"/admin/jobs/job/{job.id}/change/"):
        answer = admin_client.get(page)
        assert (answer.status_code, "t.prose" in answer.content.decode()) == (200, True), page
