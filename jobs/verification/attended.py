"""A Celery worker that ends with whoever started it: `python -m jobs.verification.attended`, with what stands after `celery`."""

import os
import signal
import sys
import threading


def main() -> None:
    """As `celery`; told to stop when its standard input is closed, as it is by kill -9 of the process that holds the other end."""
    threading.Thread(target=_watch, daemon=True, name="jobs-attended").start()
    from celery.__main__ import main as celery

    celery()


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # nothing is ever written to it
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
