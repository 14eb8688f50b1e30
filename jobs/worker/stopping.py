"""Whether this worker was told to stop."""

from typing import Any

from celery.worker import state


def is_told() -> bool:
    """By a signal or by remote control."""
    return _is_set(state.should_stop) or is_cold()


def is_cold() -> bool:
    """By SIGQUIT or a second SIGINT: at once, without the grace."""
    return _is_set(state.should_terminate)


def _is_set(flag: Any) -> bool:
    """Celery's flag is the exit code, and that of SIGTERM is 0, which equals False."""
    return flag is not None and flag is not False
