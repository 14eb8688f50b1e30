"""What lies in a lane and is no message is refused with one line."""

import logging

import pytest

from jobs.celery_app import signing
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
