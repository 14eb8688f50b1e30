"""A worker that is told to stop, as Celery notes it."""

import pytest
from celery.worker import state

from jobs.worker import stopping


@pytest.mark.parametrize("flag", ["should_stop", "should_terminate"])
@pytest.mark.parametrize(("value", "told"), [(None, False), (False, False), (0, True), (1, True), (True, True)])
def test_an_exit_code_of_zero_is_told_too(monkeypatch: pytest.MonkeyPatch, flag: str, value: object, told: bool) -> None:
    monkeypatch.setattr(state, flag, value)
    assert stopping.is_told() is told
