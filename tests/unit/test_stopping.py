"""A worker that is told to stop, as Celery notes it."""

import gevent
import pytest
import redis
from celery import signals
from celery.worker import state

from jobs.worker import stopping


@pytest.mark.parametrize("flag", ["should_stop", "should_terminate"])
@pytest.mark.parametrize(("value", "told"), [(None, False), (False, False), (0, True), (1, True), (True, True)])
def test_an_exit_code_of_zero_is_told_too(monkeypatch: pytest.MonkeyPatch, flag: str, value: object, told: bool) -> None:
    monkeypatch.setattr(state, flag, value)
    assert stopping.is_told() is told


def test_a_signal_wakes_who_waits_and_only_meanwhile() -> None:
    woken = []

    def wake() -> None:
        woken.append(1)
        raise redis.ConnectionError("it is away")

    with stopping.waking(wake):
        signals.worker_shutting_down.send(sender="w", sig="SIGTERM", how="Warm", exitcode=0)
        assert not woken, "the flag is set after the signal"
        gevent.sleep(0)
    signals.worker_shutting_down.send(sender="w", sig="SIGTERM", how="Warm", exitcode=0)
    gevent.sleep(0)
    assert woken == [1]
