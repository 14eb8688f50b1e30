"""/readyz while a server hangs: it says so in time, and takes no thread from the others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client

from jobs.store import engine, locked, readiness, stats
from jobs.web.views import probe
from tests.waiting import until


def ready() -> tuple[int, list[str]]:
    answer = Client(headers={"accept-language": "en"}).get("/readyz")
    return answer.status_code, answer.json()["reasons"]


def test_a_server_that_hangs_is_reported_and_asked_by_one_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, asked = threading.Event(), []

    def reasons() -> list[str]:
        asked.append(threading.current_thread())
        assert hangs.wait(20)
        return []

    monkeypatch.setattr(readiness, "reasons", reasons)
    monkeypatch.setattr(probe, "ANSWER_S", 0.2)
    try:
        with ThreadPoolExecutor(4) as threads:
            answers = [threads.submit(ready) for _ in range(8)]
            assert {(status, *reasons) for status, reasons in (answer.result(10) for answer in answers)} == {
                (503, "PostgreSQL does not answer.")
            }
        assert len(asked) == 1
        assert Client().get("/healthz").status_code == 200
    finally:
        hangs.set()
    until(lambda: ready() == (200, []), timeout=5, what="it goes on answering when the server does")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("NAME", "secret", "PostgreSQL answers, but refuses: database … does not exist"),
        ("USER", "secret", "PostgreSQL answers, but refuses: role … does not exist"),
        ("HOST", "/secret", "PostgreSQL does not answer."),
    ],
)
def test_a_server_that_refuses_is_told_from_one_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, setting: str, value: str, said: str
) -> None:
    """Too many sessions, a wrong password, a server that starts: the log says which, and the name that the answer leaves out."""
    monkeypatch.setattr(readiness._complaint, "times", {})
    monkeypatch.setitem(connections.settings["default"], setting, value)
    assert ready() == (503, [said])
    assert ready() == (503, [said])
    (record,) = [record for record in caplog.records if record.name == "jobs.store.readiness"]
    assert "secret" in record.getMessage()


@pytest.mark.django_db(transaction=True)
def test_a_table_that_somebody_keeps_locked_is_told(leader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ended and nothing began, and all seemed to be well."""
    with closing(engine.connect("locks")) as holder, closing(engine.connect("waits")) as waiting, holder.cursor() as cursor:
        cursor.execute("BEGIN; LOCK jobs_job")
        thread = threading.Thread(target=waiting.cursor().execute, args=("SELECT count(*) FROM jobs_job",))
        thread.start()
        with connection.cursor() as other:
            until(lambda: (other.execute("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"), other.rowcount)[1])
        assert ready() == (200, [])
        monkeypatch.setattr(locked, "PATIENCE_S", 0)
        session = holder.info.backend_pid
        status, (said,) = ready()
        assert status == 503
        assert said.startswith(f"The table jobs_job is locked by PostgreSQL session {session}; others have been waiting for ")
        cursor.execute("ROLLBACK")
        thread.join(10)
    assert ready() == (200, [])


@pytest.mark.django_db(transaction=True)
def test_a_right_that_is_missing_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "OPTIONS", {"options": "-c role=pg_monitor"})
    cache.clear()  # else they were all there a moment ago
    assert ready()[1][0].startswith("PostgreSQL answers, but refuses: permission denied for table django_migrations")
    monkeypatch.setattr(stats, "migrations_missing", lambda: False)
    assert ready()[1][0].startswith("PostgreSQL answers, but refuses: permission denied for table ")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "10.1.2.3", "task_web"])
@pytest.mark.parametrize("redirect", [False, True])
def test_probes_are_answered_by_whatever_name_they_ask(settings: Any, monkeypatch: pytest.MonkeyPatch, host: str, redirect: bool) -> None:
    """A kubelet asks by the pod's address, docker compose by 127.0.0.1; in production ALLOWED_HOSTS has neither."""
    settings.ALLOWED_HOSTS, settings.DEBUG, settings.SECURE_SSL_REDIRECT = ["queue.example.com"], False, redirect
    monkeypatch.setattr(readiness, "reasons", list)
    browser = Client(headers={"host": host})
    for address in ("/healthz", "/readyz"):
        assert (browser.get(address).status_code, browser.head(address).status_code) == (200, 200)
        assert browser.get(address).headers["X-Content-Type-Options"] == "nosniff"
    assert browser.get("/accounts/login/").status_code == 400
    assert browser.get("/healthz/").status_code == 400
