"""/readyz while a server hangs: it says so in time, and takes no thread from the others."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client

from jobs.store import readiness
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
