"""A trouble that lasts does not fill the log."""

import logging

import pytest

from jobs.domain.complaint import KEPT, Complaint


def test_the_same_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    complaint = Complaint(logging.getLogger("here"), "No server")
    with caplog.at_level(logging.WARNING, "here"):
        for second in range(0, 121, 2):
            complaint.say(OSError("refused\nIs it running?"), now=1000.0 + second)
        assert [record.getMessage() for record in caplog.records] == ["No server: refused"] * 3
        complaint.say(OSError("closed"), now=1121.0)
        complaint.say(OSError("refused"), now=1122.0)
        complaint.say(OSError(), now=1123.0)
    assert [record.getMessage() for record in caplog.records][3:] == ["No server: closed", "No server: OSError"]


def test_troubles_that_take_turns_are_each_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A lock that is held and a server that is away, say; each also with the number of another file or session."""
    complaint = Complaint(logging.getLogger("here"), "No lock")
    with caplog.at_level(logging.WARNING, "here"):
        for second in range(62):
            complaint.say(OSError(("held by session 12%d", "no room in base/1/%d")[second % 2] % second), now=1000.0 + second)
    said = ["held by session 120", "no room in base/1/1", "held by session 1260", "no room in base/1/61"]
    assert [record.getMessage() for record in caplog.records] == [f"No lock: {text}" for text in said]


def test_numbers_that_it_is_about_are_each_said(caplog: pytest.LogCaptureFixture) -> None:
    complaint = Complaint(logging.getLogger("here"), "It waits", exact=True)
    with caplog.at_level(logging.WARNING, "here"):
        for job in (1, 2, 1, 2):
            complaint.say(ValueError(f"job {job}"), now=1000.0)
    assert [record.getMessage() for record in caplog.records] == ["It waits: job 1", "It waits: job 2"]


def test_of_many_troubles_only_the_last_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    complaint = Complaint(logging.getLogger("here"), "No server")
    with caplog.at_level(logging.CRITICAL, "here"):
        for trouble in range(1000):
            complaint.say(OSError("x" * trouble), now=1000.0)
    assert len(complaint.times) == KEPT
