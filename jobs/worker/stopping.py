"""Whether this worker was told to stop."""

from celery.worker import state


def is_told() -> bool:
    """By a signal or by remote control. Celery's flag is the exit code then, and that of SIGTERM is 0, which equals False."""
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))
