"""Each built-in type of job is created in Arabic through the form and followed on its page to its end, by a real worker."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from jobs.models import Job
from tests.workers import running_worker

pytestmark = pytest.mark.django_db(transaction=True)


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a server that answers with what it is sent."""
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/orders"
    server.shutdown()
    server.server_close()


def create(page: Page, task: str, **fields: str) -> int:
    """Choose the task, fill its fields, press the button; the number of the job."""
    page.goto("/jobs/create/")
    with page.expect_navigation():
        page.select_option("#task", task)
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    with page.expect_navigation():
        page.click("main button:has-text('إنشاء مهمة')")
    found = re.search(r"/jobs/(\d+)/$", page.url)
    assert found, page.locator("main").inner_text()
    return int(found[1])


def test_every_built_in_type_reaches_its_end(page: Page, tmp_path: Path, elsewhere: str, settings: Any) -> None:
    settings.JOBS_ALLOWED_COMMANDS = ["clearsessions", "check"]
    environ = {
        "JOBS_ALLOW_PRIVATE_ADDRESSES": "True", "JOBS_RETRY_BACKOFF": "0.1",
        "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend", "JOBS_ALLOWED_COMMANDS": "clearsessions,check",
    }  # fmt: skip
    with running_worker(tmp_path / "log", **environ):
        ended = {}
        for task, fields, state in (
            ("sleep", {"argument-seconds": "0.2"}, "completed"),
            ("fail", {"argument-message": "خطأ مقصود", "max_retries": "1"}, "failed"),
            ("flaky", {"argument-failures": "2"}, "completed"),
            ("http_request", {"argument-url": elsewhere, "argument-method": "POST", "argument-body": "طلب"}, "completed"),
            ("send_email", {"argument-to": "a@example.com", "argument-subject": "تجربة", "argument-body": "مرحبًا"}, "completed"),
            ("management_command", {"argument-name": "check"}, "completed"),
        ):
            number = create(page, f"jobs.tasks.{task}", name=f"من المتصفح: {task}", **fields)
            expect(page.locator(f"h1 ~ .state-pill.state-{state}")).to_be_visible(timeout=30_000)
            ended[task] = Job.objects.get(id=number)
            assert ended[task].status == state
    assert {task: job.runs for task, job in ended.items()} == {
        "sleep": 1, "fail": 2, "flaky": 3, "http_request": 1, "send_email": 1, "management_command": 1,
    }  # fmt: skip
    assert "خطأ مقصود" in ended["fail"].last_error
    assert ended["http_request"].result["body"] == "طلب"
    assert "no issues" in ended["management_command"].result
    assert ended["send_email"].result["sent"] == 1
    assert "To: a@example.com" in (tmp_path / "log").read_text("utf-8")


def test_a_task_with_stars_is_created_with_its_lists(page: Page) -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the task in this process

    number = create(page, "t.collect", **{"argument-first": "1", "argument-numbers": "[2, 3]", "argument-options": '{"colour": "أحمر"}'})
    job = Job.objects.get(id=number)
    assert (job.args, job.kwargs) == ([1, 2, 3], {"colour": "أحمر"})
