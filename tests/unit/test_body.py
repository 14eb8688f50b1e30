"""Where a body is interrupted: in itself, and not while its end is being written."""

import time

import gevent
import pytest
from gevent.event import Event

from jobs.celery_app.body import Body
from jobs.domain.errors import JobCancelled, JobTimeout


def begin(body: Body, go: Event, written: Event) -> gevent.Greenlet:
    """A greenlet with a body that waits for `go`, and an end that waits for `written`."""

    def run() -> str:
        body.greenlet = gevent.getcurrent()
        with body.running(None):
            go.wait()
        written.wait()
        return "written"

    greenlet = gevent.spawn(run)
    gevent.sleep(0)
    return greenlet


def test_a_body_is_interrupted_where_it_waits() -> None:
    body, go, written = Body(), Event(), Event()
    greenlet = begin(body, go, written)
    body.throw(JobCancelled)
    with pytest.raises(JobCancelled):
        greenlet.get(timeout=5)


def test_a_body_that_ends_at_that_very_moment_is_left_to_its_end() -> None:
    """It was told to go on before it was told to stop, and has ended when that reaches it."""
    body, go, written = Body(), Event(), Event()
    greenlet = begin(body, go, written)
    go.set()
    body.throw(JobCancelled)
    gevent.sleep(0.01)
    written.set()
    assert greenlet.get(timeout=5) == "written"


def test_the_watchdog_knows_of_a_body_that_its_timer_has_interrupted() -> None:
    """It threw a second exception a moment later, into the end of the first."""
    body = Body()
    with pytest.raises(JobTimeout), body.running(0.01):
        time.sleep(10)
    assert body.error is JobTimeout


def test_the_stretches_of_a_run_share_its_time() -> None:
    body = Body()
    with body.running(3600.0):
        first = body.ends
    with body.running(3600.0):
        assert (body.ends, body.spent > 0) == (first, True)
    with body.running(3600.0, least=7200.0):
        assert body.ends is not None
        assert first is not None
        assert body.ends > first + 3000
    assert body.ends is None


def test_each_stretch_is_interrupted() -> None:
    body = Body()
    for _ in range(2):
        with pytest.raises(JobTimeout), body.running(0.01):
            time.sleep(10)
