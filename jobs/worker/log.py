"""Where a worker writes its log, for the process beside it: `celery worker --logfile`, `--detach` and `celery multi` leave no stderr."""

import logging
from logging.handlers import WatchedFileHandler
from typing import Final

logger = logging.getLogger(__name__)
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def place() -> tuple[str | None, int]:
    """The file that Celery has opened for this worker, its patterns filled in, None where it writes to stderr; and the level."""
    root = logging.getLogger()
    files = [handler.baseFilename for handler in root.handlers if isinstance(handler, WatchedFileHandler)]
    return (files[0] if files else None), root.level


def write_to(file: str | None, level: int | None) -> None:
    """Write where the worker does, from its level on, in the settings' format; what else the settings write to stays.

    The file may be renamed (logrotate): it is made anew. One that cannot be opened costs the leader nothing but that.
    """
    root = logging.getLogger()
    console = next((handler for handler in root.handlers if type(handler) is logging.StreamHandler), None)
    if file and all(getattr(handler, "baseFilename", None) != file for handler in root.handlers):
        try:
            handler = WatchedFileHandler(file, encoding="utf-8")
        except OSError as error:
            logger.warning("the worker's log cannot be written to from here: %s", error)
        else:
            handler.setFormatter((console and console.formatter) or logging.Formatter(FORMAT))
            root.addHandler(handler)
            if console:
                root.removeHandler(console)
    if level is not None:
        root.setLevel(level)
    elif not root.handlers:
        root.setLevel(logging.INFO)
    if not root.handlers:
        logging.basicConfig(format=FORMAT)
