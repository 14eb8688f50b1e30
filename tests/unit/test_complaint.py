"""A trouble that lasts does not fill the log."""

import logging

import pytest

from jobs.domain.complaint import Complaint


def test_the_same_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    complaint = Complaint(logging.getLogger("here"), "No server")
    with caplog.at_level(logging.WARNING, "here"):
        for second in range(0, 121, 2):
            complaint.say(OSError("refused\nIs it running?"), now=1000.0 + second)
        assert [record.getMessage() for record in caplog.records] == ["No server: refused"] * 3
        complaint.say(OSError("closed"), now=1121.0)
        complaint.say(OSError("refused"), now=1122.0)
        complaint.say(OSError(), now=1123.0)
    assert [record.getMessage() for record in caplog.records][3:] == ["No server: closed", "No server: refused", "No server: OSError"]
