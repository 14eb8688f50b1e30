"""The built-in job types: what they do, and what they refuse for ever."""

import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from django.core import mail
from django.utils import translation

from jobs import http_client, tasks, tasks_help
from jobs.domain.errors import PermanentError
from jobs.domain.texts import printable
from jobs.enqueueing import InvalidJob, validate

BUILT_IN = (tasks.sleep, tasks.fail, tasks.flaky, tasks.http_request, tasks.send_email, tasks.management_command)


class Answer(BaseHTTPRequestHandler):
    """Answers /STATUS with that status; /echo with what was sent, in whatever encoding ?charset= says; /inside with a redirect to a private
    address."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, charset = self.path.strip("/").partition("?charset=")
        self.send_response(200 if path == "echo" else 302 if path == "inside" else int(path))
        self.send_header("Content-Type", f"text/plain; charset={unquote(charset) or 'utf-8'}")
        if path == "inside":
            self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()
        self.wfile.write(body or b"x" * 100_000)

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(settings: Any) -> Iterator[str]:
    settings.JOBS_ALLOW_PRIVATE_ADDRESSES = True
    with HTTPServer(("127.0.0.1", 0), Answer) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_http_request_returns_status_headers_and_the_begin_of_the_body(server: str) -> None:
    found = tasks.http_request(f"{server}/200")
    assert found["status"] == 200
    assert found["headers"]["Content-Type"].startswith("text/plain")
    assert len(found["body"]) == http_client.BODY_BYTES


def test_http_request_sends_method_headers_and_body(server: str) -> None:
    assert tasks.http_request(f"{server}/echo", method="post", headers={"X-A": "1"}, body="مرحبا")["body"] == "مرحبا"


@pytest.mark.parametrize("charset", ["idna", "undefined", "utf-8%00", "unicode_escape", "base64", "nonsense"])
def test_an_answer_whose_encoding_is_none_of_a_text_is_kept_all_the_same(server: str, charset: str) -> None:
    """The request was sent: another attempt would send it once more."""
    assert tasks.http_request(f"{server}/echo?charset={charset}", method="POST", body="x.\\ud800 é")["body"] == "x.\\ud800 é"


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (404, True), (408, False), (429, False), (500, False), (503, False)])
def test_http_request_tells_errors_that_may_pass(server: str, status: int, permanent: bool) -> None:
    with pytest.raises(PermanentError if permanent else tasks.RequestFailed, match=str(status)):
        tasks.http_request(f"{server}/{status}")


def test_http_request_follows_no_redirect(server: str) -> None:
    found = tasks.http_request(f"{server}/inside")
    assert (found["status"], found["headers"]["Location"]) == (302, "http://169.254.169.254/")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "[fe80::1]", "2130706433",
        "0x7f.1", "0177.0.0.1", "0.1.2.3", "100.64.0.1", "192.0.0.1", "198.18.0.1", "240.0.0.1", "[fec0::1]", "[::127.0.0.1]",
        "[::10.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::10.0.0.1]", "[2002:7f00:1::1]", "[2001:0:7f00:1::]",
    ],
)  # fmt: skip
def test_http_request_refuses_private_addresses(host: str) -> None:
    with pytest.raises(PermanentError, match="JOBS_ALLOW_PRIVATE_ADDRESSES"):
        tasks.http_request(f"http://{host}:9/")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer sk-123\n"}, {"X-Api-Key": " sk-123"}, {"X-Pin": "a\r\nsk-123: b"}, {"X-Key": "sk-123 سر"}, {"X-N": 123},
        {"a\nb": "sk-123"}, {"": "sk-123"}, {"سر": "sk-123"}, {"\ud800": "sk-123"}, {"a:b": "sk-123"},
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_sent_is_refused_without_a_word_of_its_value(server: str, headers: dict[str, Any]) -> None:
    """A line break behind a key that was copied, say; the error goes to pages, logs and mails."""
    with pytest.raises(PermanentError) as refused:
        tasks.http_request(f"{server}/200", headers=headers)
    assert "123" not in "".join(traceback.format_exception(refused.value))
    assert f"the header {printable(next(iter(headers)))} cannot be sent" in str(refused.value)
    with translation.override("en"), pytest.raises(InvalidJob) as wrong:
        validate("jobs.tasks.http_request", kwargs={"url": f"{server}/200", "headers": headers})
    assert "123" not in str(wrong.value.message_dict)


def test_any_header_that_can_be_sent_is(server: str) -> None:
    sent = {"X-A": "", "x_b-1": "a b\tc: d", "X-C": "é\xff"}
    assert tasks.http_request(f"{server}/200", headers=sent)["status"] == 200


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://example.org/", "nonsense", "http://", "//x", "http://[::1"])
def test_http_request_refuses_what_is_no_web_address(url: str) -> None:
    with pytest.raises(PermanentError):
        tasks.http_request(url)


@pytest.mark.parametrize("arguments", [{"method": "BREW"}, {"headers": {"A": "b\r\nC: d"}}])
def test_http_request_refuses_a_wrong_request(arguments: dict[str, Any], server: str) -> None:
    with pytest.raises(PermanentError):
        tasks.http_request(f"{server}/200", **arguments)


def test_http_request_that_cannot_connect_may_pass(server: str) -> None:
    with pytest.raises(requests.ConnectionError):
        tasks.http_request("http://127.0.0.1:1/")


def test_send_email_sends() -> None:
    assert tasks.send_email("a@example.org, b@example.org", "عنوان", "نص") == {"sent": 1, "to": ["a@example.org", "b@example.org"]}
    assert mail.outbox[0].subject == "عنوان"


@pytest.mark.parametrize(
    ("to", "subject"),
    [("", "x"), ("nobody", "x"), ("a@example.org,@", "x"), ("a@example.org", "x\nBcc: b@example.org"), ("a@example.org", "x\ry")],
)
def test_send_email_refuses_what_no_server_could_send(to: str, subject: str) -> None:
    with pytest.raises(PermanentError):
        tasks.send_email(to, subject, "text")
    assert mail.outbox == []


def test_management_command_returns_its_output(settings: Any) -> None:
    settings.JOBS_ALLOWED_COMMANDS = ["diffsettings"]
    assert "SECRET_KEY" in tasks.management_command("diffsettings", ["--all"])


def test_management_command_refuses_what_is_not_allowed(settings: Any) -> None:
    settings.JOBS_ALLOWED_COMMANDS = ["clearsessions"]
    with pytest.raises(PermanentError, match="JOBS_ALLOWED_COMMANDS"):
        tasks.management_command("flush")


@pytest.mark.parametrize("seconds", [-1, 86_401, float("nan"), "1", True, None])
def test_sleep_refuses_what_is_no_time(seconds: Any) -> None:
    with pytest.raises(PermanentError):
        tasks.sleep(seconds)


def test_fail_fails_with_its_message() -> None:
    with pytest.raises(tasks.DeliberateFailure, match="no paper"):
        tasks.fail("no paper")


def test_the_help_of_each_job_type_is_marked_for_translation() -> None:
    assert {task.__doc__.strip().splitlines()[0] for task in BUILT_IN} == set(tasks_help.FIRST_LINES)
