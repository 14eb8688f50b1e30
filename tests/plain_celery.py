"""Celery's command without those of other packages: Flower's, which the tests have, would be loaded by each of hundreds of workers."""

import importlib.metadata
from typing import Any

from celery.__main__ import main

_found = importlib.metadata.entry_points


def _of_celery(**which: Any) -> Any:
    return () if which.get("group") == "celery.commands" else _found(**which)


if __name__ == "__main__":
    importlib.metadata.entry_points = _of_celery
    main()
