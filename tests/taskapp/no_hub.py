"""Imported by a worker (`-I`) that is to read Redis as on Windows, where Celery has no event loop."""

from celery import current_app

current_app.IS_WINDOWS = True
