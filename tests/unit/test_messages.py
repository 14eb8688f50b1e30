"""What lies in a lane and is no message is refused with one line."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.celery_app import signing
from jobs.domain import own_failures
from jobs.worker import unreadable
from jobs.worker.popper import is_alone, read


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe", b"null", b"[]", b"7", b'{"headers": null}', b'{"headers": {}, "body": "", "properties": []}', b"[" * 100_000],
)
def test_rubbish_is_refused(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert read(text) is None
    assert "refused what is not a message" in caplog.text


def test_a_message_is_read_and_runs_alone_only_when_this_project_says_so() -> None:
    """Whoever can write to Redis could else keep the slots of every worker empty."""
    text = b'{"headers": {"alone": true}, "body": "[]", "properties": {"delivery_tag": "1.1"}}'
    message = read(text)
    assert message is not None
    assert not is_alone(message)
    message["headers"]["sig"] = signing.sign(message["headers"], message["body"])
    assert is_alone(message)
    message["headers"]["alone"] = False
    assert not is_alone(message)


@pytest.mark.parametrize("embed", [{"callbacks": 5}, {"errbacks": "x"}, {"chain": {"a": 1}}, {"chain": [7]}, {"chord": [1]}])
def test_a_body_whose_links_are_none_of_celerys_is_refused_before_it_runs(embed: Any) -> None:
    """Celery would meet them after the task has run, with a traceback."""
    assert unreadable.problem(SimpleNamespace(payload=[[], {}, embed])) == own_failures.NO_OPTIONS


def test_a_body_with_links_is_read() -> None:
    link = {"task": "a.b", "args": []}
    whole = {"callbacks": [link], "errbacks": (link,), "chain": [], "chord": link, "own": 5}
    for embed in (whole, dict.fromkeys(whole), {}):
        assert unreadable.problem(SimpleNamespace(payload=[[], {}, embed])) == ""
